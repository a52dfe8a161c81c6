//! Answers, each with a limit.

use std::collections::HashMap;
use std::time::Duration;

use zbus::message::{Flags, Header};
use zbus::zvariant::Value;
use zbus::{Connection, Message};

use crate::call::{LISTENER, LISTENER_DMABUF2, LISTENER_MAP, Request, decode, is_call};
use crate::within::within;

/// How long sending an answer may take. Answers are small and QEMU's end of the socket
/// holds hundreds of them: one that does not fit says that QEMU hangs.
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// What QEMU may send beyond [`LISTENER`].
const INTERFACES: [&str; 2] = [LISTENER_MAP, LISTENER_DMABUF2];

/// Enough for tools that look around; QEMU has the description built in.
const INTROSPECTION: &str = concat!(
    "<node><interface name=\"org.qemu.Display1.Listener\">",
    "<property name=\"Interfaces\" type=\"as\" access=\"read\"/>",
    "</interface></node>"
);

/// Sends answers to the calls of one peer.
#[derive(Debug)]
pub(crate) struct Answers<'a> {
    connection: &'a Connection,
    limit: Duration,
}

/// An answer could not be sent; the reason is the connection's.
#[derive(Debug)]
pub(crate) struct Unanswered;

impl<'a> Answers<'a> {
    pub(crate) fn new(connection: &'a Connection, limit: Duration) -> Self {
        Self { connection, limit }
    }

    /// Answers what every peer may ask of any other; `None` for all else.
    pub(crate) fn housekeeping(&self, message: &Message) -> Option<Result<(), Unanswered>> {
        let header = message.header();
        let interface = header.interface()?.as_str();
        if !is_call(message) || !interface.starts_with("org.freedesktop.DBus.") {
            return None;
        }
        Some(match decode(message) {
            Ok(Request::Property(interface, name)) => self.property(&header, &interface, &name),
            Ok(Request::Properties(interface)) => self.properties(&header, &interface),
            Ok(Request::Introspect) => self.introspection(&header),
            Ok(Request::Ping | Request::Display(_)) => self.done(&header),
            Err(bad) => self.error(&header, bad.dbus_name(), &bad.to_string()),
        })
    }

    /// "Done."
    pub(crate) fn done(&self, call: &Header<'_>) -> Result<(), Unanswered> {
        self.send(
            call,
            Message::method_return(call).and_then(|b| b.build(&())),
        )
    }

    pub(crate) fn error(
        &self,
        call: &Header<'_>,
        name: &str,
        text: &str,
    ) -> Result<(), Unanswered> {
        let message = Message::error(call, name).and_then(|builder| builder.build(&text));
        self.send(call, message)
    }

    fn property(&self, call: &Header<'_>, interface: &str, name: &str) -> Result<(), Unanswered> {
        if (interface, name) != (LISTENER, "Interfaces") {
            let text = format!("{interface} has no property {name}");
            return self.error(call, "org.freedesktop.DBus.Error.UnknownProperty", &text);
        }
        let value = Value::from(INTERFACES.to_vec());
        let message = Message::method_return(call).and_then(|b| b.build(&value));
        self.send(call, message)
    }

    fn properties(&self, call: &Header<'_>, interface: &str) -> Result<(), Unanswered> {
        let mut all = HashMap::new();
        if interface == LISTENER {
            all.insert("Interfaces", Value::from(INTERFACES.to_vec()));
        }
        self.send(
            call,
            Message::method_return(call).and_then(|b| b.build(&all)),
        )
    }

    fn introspection(&self, call: &Header<'_>) -> Result<(), Unanswered> {
        let message = Message::method_return(call).and_then(|b| b.build(&INTROSPECTION));
        self.send(call, message)
    }

    fn send(&self, call: &Header<'_>, message: zbus::Result<Message>) -> Result<(), Unanswered> {
        if call.primary().flags().contains(Flags::NoReplyExpected) {
            return Ok(());
        }
        let message = message.map_err(|_| Unanswered)?;
        match within(self.limit, self.connection.send(&message)) {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => Err(Unanswered),
        }
    }
}
