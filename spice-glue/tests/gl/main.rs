//! The state machine of streams, by its rules: see `orders` for what holds in any order
//! of events, the others for one rule each.

mod codecs;
mod draws;
mod joining;
mod orders;
mod resize;
mod slow;
mod stamps;
mod world;
