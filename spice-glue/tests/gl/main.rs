//! The state machine of streams, by its rules: see `orders` for what holds in any order
//! of events, the others for one rule each.

mod draws;
mod joining;
mod resize;
mod world;
