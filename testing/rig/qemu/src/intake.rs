//! The connection that QEMU calls us on: a thread that takes messages off the socket,
//! notes when each came, and hands them on in order. What is not about the display, the
//! question which interfaces we know before all, it answers itself: whoever registers
//! the listener may wait for that before he says that it is registered.

use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures_lite::StreamExt;
use zbus::connection::Builder;
use zbus::{Connection, Message};

use crate::answer::{ANSWER_LIMIT, Answers};
use crate::within::within;

/// Messages that may wait for us: QEMU sends one call per damaged rectangle, of which
/// a refresh of the screen rarely has more. Beyond them the socket fills, as it should.
const QUEUE: usize = 64;

/// The connection did not come about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntakeError {
    /// The peer did not finish the handshake.
    #[error("the peer did not finish the handshake within {limit:?}")]
    HandshakeTimeout {
        /// How long it was waited for.
        limit: Duration,
    },
    /// The handshake failed, or the peer went away in it.
    #[error("the handshake on the listener's socket failed: {0}")]
    Handshake(Box<zbus::Error>),
    /// The socket or the thread could not be made.
    #[error("setting up the listener's socket failed: {0}")]
    Io(#[from] std::io::Error),
}

/// A message and when it came.
#[derive(Debug)]
pub struct Arrival {
    /// When it was taken off the socket.
    pub at: Instant,
    /// What came.
    pub message: Message,
}

/// What the next moment brought.
#[derive(Debug)]
pub enum Next {
    /// A message.
    Arrival(Arrival),
    /// Nothing until the limit.
    Nothing,
    /// The peer closed the connection, or sent what is no D-Bus message.
    Gone,
}

/// A connection on which the peer calls us, served from the first message on.
///
/// Closed when dropped.
#[derive(Debug)]
pub struct Intake {
    socket: UnixStream,
    arrivals: Receiver<Arrival>,
    ready: Receiver<Result<Connection, IntakeError>>,
    connection: Option<Connection>,
    thread: Option<JoinHandle<()>>,
}

impl Intake {
    /// Starts serving `socket`, on whose other end the peer authenticates us. Returns at
    /// once: the peer may answer only after the caller has done something else.
    pub fn start(socket: UnixStream, limit: Duration) -> Result<Self, IntakeError> {
        let ours = socket.try_clone()?;
        let (send_arrival, arrivals) = sync_channel(QUEUE);
        let (send_ready, ready) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("intake".to_owned())
            .spawn(move || take_in(socket, limit, &send_ready, &send_arrival))?;
        Ok(Self {
            socket: ours,
            arrivals,
            ready,
            connection: None,
            thread: Some(thread),
        })
    }

    /// The connection, to answer on; waits until the handshake is done, which has a
    /// limit of its own.
    pub fn connection(&mut self) -> Result<&Connection, IntakeError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            // The thread says something in any case, unless it died.
            None => self.ready.recv().unwrap_or_else(|_| {
                Err(IntakeError::Handshake(Box::new(zbus::Error::Failure(
                    "the thread that serves the socket ended".to_owned(),
                ))))
            })?,
        };
        Ok(self.connection.insert(connection))
    }

    /// The next message, waited for until `limit` has passed.
    pub fn next(&self, limit: Duration) -> Next {
        match self.arrivals.recv_timeout(limit) {
            Ok(arrival) => Next::Arrival(arrival),
            Err(RecvTimeoutError::Timeout) => Next::Nothing,
            Err(RecvTimeoutError::Disconnected) => Next::Gone,
        }
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        // Ends the thread's wait for the next message; a full queue it would wait at
        // ends with the receiver, so that goes before the join.
        let _ = self.socket.shutdown(Shutdown::Both);
        let (_, closed) = sync_channel(0);
        self.arrivals = closed;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn take_in(
    socket: UnixStream,
    limit: Duration,
    ready: &SyncSender<Result<Connection, IntakeError>>,
    arrivals: &SyncSender<Arrival>,
) {
    let builder = Builder::async_io_unix_stream(socket).p2p();
    let built = match within(limit, builder.build_message_stream()) {
        None => Err(IntakeError::HandshakeTimeout { limit }),
        Some(Err(error)) => Err(IntakeError::Handshake(error.into())),
        Some(Ok(stream)) => Ok(stream),
    };
    let mut stream = match built {
        Ok(stream) => stream,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    if ready.send(Ok(Connection::from(&stream))).is_err() {
        return;
    }
    let connection = Connection::from(&stream);
    let answers = Answers::new(&connection, ANSWER_LIMIT);
    while let Some(Ok(message)) = async_io::block_on(stream.next()) {
        let at = Instant::now();
        let handed_on = match answers.housekeeping(&message) {
            Some(answered) => answered.is_ok(),
            None => arrivals.send(Arrival { at, message }).is_ok(),
        };
        if !handed_on {
            break;
        }
    }
}
