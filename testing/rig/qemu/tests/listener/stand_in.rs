//! Plays QEMU's part on a socket pair: the authentication server, and the caller.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use scanout_rig_qemu::call::{LISTENER, LISTENER_DMABUF2, LISTENER_MAP, LISTENER_PATH};
use scanout_rig_qemu::intake::Intake;
use scanout_rig_qemu::{Limits, Report, record};
use scanout_trace::recording::Event;
use zbus::message::Message;
use zbus::{Connection, Guid};

/// What pixman calls a8r8g8b8 and x8r8g8b8.
pub(crate) const X8R8G8B8: u32 = 0x2002_0888;
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// The calling end.
pub(crate) struct StandIn {
    pub(crate) connection: Connection,
}

impl StandIn {
    pub(crate) fn new(socket: UnixStream) -> Self {
        let connection = async_io::block_on(async {
            zbus::connection::Builder::async_io_unix_stream(socket)
                .server(Guid::generate())
                .unwrap()
                .p2p()
                .method_timeout(LIMIT)
                .build()
                .await
                .unwrap()
        });
        Self { connection }
    }

    /// Calls, waits, and gives back the answer or the error's text.
    pub(crate) fn call<B>(&self, interface: &str, member: &str, body: &B) -> Result<Message, String>
    where
        B: zbus::export::serde::Serialize + zbus::zvariant::DynamicType,
    {
        let called =
            self.connection
                .call_method(None::<&str>, LISTENER_PATH, Some(interface), member, body);
        async_io::block_on(called).map_err(|error| match error {
            zbus::Error::MethodError(_, Some(text), _) => text,
            other => panic!("{member} was not answered: {other}"),
        })
    }

    pub(crate) fn listener<B>(&self, member: &str, body: &B) -> Result<Message, String>
    where
        B: zbus::export::serde::Serialize + zbus::zvariant::DynamicType,
    {
        self.call(LISTENER, member, body)
    }

    pub(crate) fn map<B>(&self, member: &str, body: &B) -> Result<Message, String>
    where
        B: zbus::export::serde::Serialize + zbus::zvariant::DynamicType,
    {
        self.call(LISTENER_MAP, member, body)
    }

    pub(crate) fn dmabuf2<B>(&self, body: &B) -> Result<Message, String>
    where
        B: zbus::export::serde::Serialize + zbus::zvariant::DynamicType,
    {
        self.call(LISTENER_DMABUF2, "ScanoutDMABUF2", body)
    }

    /// Calls without waiting for the answer, which is asked for all the same. The
    /// listener may have left by then.
    pub(crate) fn send<B>(&self, interface: &str, member: &str, body: &B)
    where
        B: zbus::export::serde::Serialize + zbus::zvariant::DynamicType,
    {
        let message = Message::method_call(LISTENER_PATH, member)
            .unwrap()
            .interface(interface)
            .unwrap()
            .build(body)
            .unwrap();
        let _ = async_io::block_on(self.connection.send(&message));
    }
}

/// What a recorder made of what a stand-in did.
pub(crate) struct Outcome {
    pub(crate) events: Vec<Event>,
    pub(crate) report: Report,
}

/// Runs a recorder against `qemu`, until that returns (or `limits` end it).
pub(crate) fn session(limits: Limits, qemu: impl FnOnce(UnixStream, &AtomicBool)) -> Outcome {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let stop = Arc::clone(&limits.stop);
    let recorder = std::thread::spawn(move || {
        let mut events = Vec::new();
        let mut intake = Intake::start(ours, LIMIT).unwrap();
        let report = record(&mut intake, &limits, &mut |event: &Event| {
            events.push(event.clone());
            Ok(())
        })
        .unwrap();
        Outcome { events, report }
    });
    qemu(theirs, &stop);
    stop.store(true, Ordering::Relaxed);
    recorder.join().unwrap()
}

/// The same with a peer that speaks D-Bus.
pub(crate) fn talk(qemu: impl FnOnce(&StandIn)) -> Outcome {
    session(Limits::default(), |socket, _| {
        let stand_in = StandIn::new(socket);
        qemu(&stand_in);
    })
}
