//! The client against servers that do what a script says.

mod behaviour;
mod links;
mod peer;
mod recording;
