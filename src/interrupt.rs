//! Ctrl-C and `kill`: the first finishes the work at hand, the second ends the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::failure::{Exit, Failure};

/// True once the user wants an end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Installs the handlers.
    pub(crate) fn install() -> Result<Self, Failure> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            let installed = signal_hook::flag::register_conditional_shutdown(
                signal,
                Exit::Interrupted.code().into(),
                Arc::clone(&asked),
            )
            // After the shutdown above, which must see the flag as it was before.
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&asked)));
            installed.map_err(|error| {
                Failure::new(Exit::Internal, format_args!("handling signals: {error}"))
            })?;
        }
        Ok(Self(asked))
    }

    pub(crate) fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
