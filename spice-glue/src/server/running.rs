//! A server for programs without tokio.

use std::thread::JoinHandle;

use super::{Console, Server, ServerConfig, ServerError, ServerHandle};

/// Connections are many, and each asks for little: a second thread so that the
/// handshake of one does not delay another.
const THREADS: usize = 2;

/// A server with a runtime and thread of its own. Dropping it stops it.
#[derive(Debug)]
#[must_use]
pub struct Running {
    handle: ServerHandle,
    thread: Option<JoinHandle<Result<(), ServerError>>>,
}

impl Running {
    /// Listens and serves. What is wrong with the configuration or the sockets is said
    /// here.
    pub fn start(config: ServerConfig, consoles: Vec<Console>) -> Result<Self, ServerError> {
        let server = Server::bind(config, consoles)?;
        let handle = server.handle();
        let system = |what, cause| ServerError::System { what, cause };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("scanout-spice")
            .enable_io()
            .enable_time()
            .build()
            .map_err(|cause| system("starting a runtime", cause))?;
        let thread = std::thread::Builder::new()
            .name("scanout-server".into())
            .spawn(move || {
                let result = runtime.block_on(server.run());
                // What reads a file that does not come back is not waited for.
                runtime.shutdown_background();
                result
            })
            .map_err(|cause| system("starting a thread", cause))?;
        Ok(Self {
            handle,
            thread: Some(thread),
        })
    }

    /// To see and stop it.
    pub fn handle(&self) -> &ServerHandle {
        &self.handle
    }

    /// Says goodbye to all clients and waits for the end, some seconds at most.
    pub fn stop(mut self) -> Result<(), ServerError> {
        self.finish()
    }

    fn finish(&mut self) -> Result<(), ServerError> {
        self.handle.stop();
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(ServerError::Panicked),
            None => Ok(()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.finish();
    }
}
