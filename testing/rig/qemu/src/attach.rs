//! Finding QEMU on a bus and registering a listener with one of its consoles.

use std::fmt;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use zbus::connection::Builder;
use zbus::names::{BusName, InterfaceName, MemberName, WellKnownName};
use zbus::zvariant::{Fd, ObjectPath, OwnedValue};
use zbus::{Connection, Message};

use crate::intake::{Intake, IntakeError};
use crate::within::within;

const VM: &str = "/org/qemu/Display1/VM";

/// Where to attach.
#[derive(Clone, Debug)]
pub struct Attach {
    /// The bus's address, as in `DBUS_SESSION_BUS_ADDRESS`.
    pub address: String,
    /// The name that QEMU has on it.
    pub name: String,
    /// Number of the console.
    pub console: u32,
    /// How long to wait for QEMU to appear with that console.
    pub wait: Duration,
    /// How long any call to the bus or to QEMU may take.
    pub limit: Duration,
    /// Give up waiting when this becomes true.
    pub stop: Arc<AtomicBool>,
}

impl Attach {
    /// The name that every QEMU takes.
    pub const QEMU: &str = "org.qemu";

    /// Console 0 of the QEMU on the bus at `address`, without waiting for it to appear;
    /// calls may take 5 s, for which a guest under software emulation on a busy machine
    /// can keep QEMU's main loop.
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            name: Self::QEMU.to_owned(),
            console: 0,
            wait: Duration::ZERO,
            limit: Duration::from_secs(5),
            stop: Arc::default(),
        }
    }
}

/// Why no listener could be registered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The bus is not there.
    #[error("no D-Bus bus at {address}: {source}")]
    Bus {
        /// The address.
        address: String,
        /// Why not.
        source: Box<zbus::Error>,
    },
    /// The name cannot be one.
    #[error("{name:?} is no bus name: {source}")]
    Name {
        /// The name.
        name: String,
        /// Why not.
        source: zbus::names::Error,
    },
    /// Nobody has the name.
    #[error(
        "no QEMU on the bus at {address}: nobody took the name {name} within {waited:.1?}; it does so when started with -display dbus and this bus"
    )]
    NoQemu {
        /// The bus.
        address: String,
        /// The name.
        name: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// Whoever has the name has no D-Bus display (any more, or not yet).
    #[error("{name} offers no D-Bus display on the bus at {address}: {source}")]
    NoDisplay {
        /// The bus.
        address: String,
        /// The name.
        name: String,
        /// What it answered.
        source: Box<zbus::Error>,
    },
    /// QEMU has other consoles.
    #[error("QEMU has no console {console}, but {}", Consoles(.available))]
    NoConsole {
        /// The console asked for.
        console: u32,
        /// Those there are.
        available: Vec<u32>,
    },
    /// QEMU did not want the listener.
    #[error("QEMU refused the listener for console {console}: {source}")]
    Refused {
        /// The console.
        console: u32,
        /// What it answered.
        source: Box<zbus::Error>,
    },
    /// A call failed.
    #[error("{call} failed: {source}")]
    Call {
        /// The call.
        call: &'static str,
        /// What was answered.
        source: Box<zbus::Error>,
    },
    /// A call was not answered.
    #[error("{call} was not answered within {limit:?}")]
    Timeout {
        /// The call.
        call: &'static str,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The listener's own connection did not come about.
    #[error(transparent)]
    Intake(#[from] IntakeError),
}

struct Consoles<'a>(&'a [u32]);

impl fmt::Display for Consoles<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("none at all"),
            [only] => write!(f, "only console {only}"),
            [first, rest @ ..] => {
                write!(f, "consoles {first}")?;
                rest.iter().try_for_each(|id| write!(f, ", {id}"))
            }
        }
    }
}

/// A registered listener. QEMU forgets it when this is dropped.
#[derive(Debug)]
pub struct Attached {
    /// What QEMU says to the listener.
    pub intake: Intake,
    /// The console's label, for example `virtio-vga-gl.0`; empty where QEMU tells none.
    pub label: String,
    // QEMU drops a listener when whoever registered it leaves the bus.
    _bus: Connection,
}

/// Calls on one bus, each with the same limit.
struct Caller<'a> {
    bus: Connection,
    to: Option<BusName<'a>>,
    limit: Duration,
}

impl Caller<'_> {
    /// Calls QEMU, or the bus itself where `path` is the bus's.
    fn call<B>(
        &self,
        name: &'static str,
        path: &str,
        interface: &str,
        body: &B,
    ) -> Result<Message, AttachError>
    where
        B: serde_body::Body,
    {
        let failed = |source: zbus::Error| AttachError::Call {
            call: name,
            source: source.into(),
        };
        let path = ObjectPath::try_from(path).map_err(|e| failed(e.into()))?;
        let interface = InterfaceName::try_from(interface).map_err(|e| failed(e.into()))?;
        let member = MemberName::try_from(name).map_err(|e| failed(e.into()))?;
        let called = self
            .bus
            .call_method(self.to.as_ref(), path, Some(interface), member, body);
        match within(self.limit, called) {
            None => Err(AttachError::Timeout {
                call: name,
                limit: self.limit,
            }),
            Some(result) => result.map_err(failed),
        }
    }

    fn property<T>(&self, path: &str, interface: &str, property: &str) -> Result<T, AttachError>
    where
        T: TryFrom<OwnedValue>,
        T::Error: Into<zbus::zvariant::Error>,
    {
        let message = self.call(
            "Get",
            path,
            "org.freedesktop.DBus.Properties",
            &(interface, property),
        )?;
        let value: Result<OwnedValue, zbus::Error> = message.body().deserialize();
        let failed = |source: zbus::Error| AttachError::Call {
            call: "Get",
            source: source.into(),
        };
        T::try_from(value.map_err(failed)?).map_err(|e| failed(zbus::Error::Variant(e.into())))
    }
}

/// What can be sent, in short.
mod serde_body {
    /// See [`zbus::Connection::call_method`].
    pub(super) trait Body:
        zbus::export::serde::ser::Serialize + zbus::zvariant::DynamicType
    {
    }
    impl<T: zbus::export::serde::ser::Serialize + zbus::zvariant::DynamicType> Body for T {}
}

/// Finds QEMU and registers a listener, which is served before QEMU hears of it: QEMU
/// asks it which interfaces it knows while it registers it, and stands still meanwhile.
pub fn attach(options: &Attach) -> Result<Attached, AttachError> {
    let begun = Instant::now();
    let bus = connect(options)?;
    let name =
        WellKnownName::try_from(options.name.as_str()).map_err(|source| AttachError::Name {
            name: options.name.clone(),
            source,
        })?;
    let caller = Caller {
        bus,
        to: Some(name.into()),
        limit: options.limit,
    };
    loop {
        match register(&caller, options) {
            // It shows up on the bus before its consoles do.
            Err(
                AttachError::NoQemu { .. }
                | AttachError::NoDisplay { .. }
                | AttachError::NoConsole { .. },
            ) if begun.elapsed() < options.wait && !options.stop.load(Ordering::Relaxed) => {
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(AttachError::NoQemu { address, name, .. }) => {
                return Err(AttachError::NoQemu {
                    address,
                    name,
                    waited: begun.elapsed(),
                });
            }
            Err(error) => return Err(error),
            Ok((intake, label)) => {
                return Ok(Attached {
                    intake,
                    label,
                    _bus: caller.bus,
                });
            }
        }
    }
}

fn connect(options: &Attach) -> Result<Connection, AttachError> {
    let failed = |source: zbus::Error| AttachError::Bus {
        address: options.address.clone(),
        source: source.into(),
    };
    let builder = Builder::address(options.address.as_str()).map_err(failed)?;
    match within(options.limit, builder.build()) {
        None => Err(AttachError::Timeout {
            call: "the handshake with the bus",
            limit: options.limit,
        }),
        Some(connected) => connected.map_err(failed),
    }
}

fn register(caller: &Caller<'_>, options: &Attach) -> Result<(Intake, String), AttachError> {
    if !has_owner(caller, &options.name)? {
        return Err(AttachError::NoQemu {
            address: options.address.clone(),
            name: options.name.clone(),
            waited: Duration::ZERO,
        });
    }
    let console = options.console;
    let consoles = caller.property(VM, "org.qemu.Display1.VM", "ConsoleIDs");
    let available: Vec<u32> = consoles.map_err(|error| match error {
        AttachError::Call { source, .. } => AttachError::NoDisplay {
            address: options.address.clone(),
            name: options.name.clone(),
            source,
        },
        other => other,
    })?;
    if !available.contains(&console) {
        return Err(AttachError::NoConsole { console, available });
    }
    let path = format!("/org/qemu/Display1/Console_{console}");
    let interface = "org.qemu.Display1.Console";
    let label = caller
        .property::<String>(&path, interface, "Label")
        .unwrap_or_default();
    let (ours, theirs) = UnixStream::pair().map_err(IntakeError::Io)?;
    let mut intake = Intake::start(ours, options.limit)?;
    let registered = caller.call(
        "RegisterListener",
        &path,
        interface,
        &(Fd::from(theirs.as_fd())),
    );
    // QEMU has its own descriptor now; with ours open its end would never count as closed.
    drop(theirs);
    match registered {
        Err(AttachError::Call { source, .. }) => {
            return Err(AttachError::Refused { console, source });
        }
        other => other?,
    };
    intake.connection()?;
    Ok((intake, label))
}

fn has_owner(caller: &Caller<'_>, name: &str) -> Result<bool, AttachError> {
    let bus = Caller {
        bus: caller.bus.clone(),
        to: BusName::try_from("org.freedesktop.DBus").ok(),
        limit: caller.limit,
    };
    let message = bus.call(
        "NameHasOwner",
        "/org/freedesktop/DBus",
        "org.freedesktop.DBus",
        &name,
    )?;
    message
        .body()
        .deserialize()
        .map_err(|source| AttachError::Call {
            call: "NameHasOwner",
            source: source.into(),
        })
}
