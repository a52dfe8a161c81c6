//! What QEMU says to a listener, decoded but not believed.

use std::fmt;
use std::os::fd::OwnedFd;

use zbus::message::{Header, Message, Type};
use zbus::zvariant;

/// The object that QEMU calls.
pub const LISTENER_PATH: &str = "/org/qemu/Display1/Listener";
/// The interface that every QEMU with a D-Bus display knows.
pub const LISTENER: &str = "org.qemu.Display1.Listener";
/// Scanouts in shared memory, from QEMU 9.2 on.
pub const LISTENER_MAP: &str = "org.qemu.Display1.Listener.Unix.Map";
/// Scanouts with planes, offsets and a sub-rectangle, from QEMU 10.1 on.
pub const LISTENER_DMABUF2: &str = "org.qemu.Display1.Listener.Unix.ScanoutDMABUF2";

/// A rectangle as QEMU sends it: it may have any sign and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawRect {
    /// Left edge.
    pub x: i32,
    /// Top edge.
    pub y: i32,
    /// Columns.
    pub width: i32,
    /// Rows.
    pub height: i32,
}

impl fmt::Display for RawRect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{} {}x{}", self.x, self.y, self.width, self.height)
    }
}

/// How pixels lie in bytes or shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surface {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bytes from one row to the next.
    pub stride: u32,
    /// `pixman_format_code_t`
    pub pixman: u32,
}

/// A scanout in dma-bufs; `ScanoutDMABUF` is the case of one plane without an offset.
#[derive(Debug)]
pub struct Dmabuf {
    /// One for each plane.
    pub fds: Vec<OwnedFd>,
    /// What is shown, in rows of memory.
    pub x: u32,
    /// What is shown.
    pub y: u32,
    /// What is shown.
    pub width: u32,
    /// What is shown.
    pub height: u32,
    /// One for each plane.
    pub offsets: Vec<u32>,
    /// One for each plane.
    pub strides: Vec<u32>,
    /// How many of them count.
    pub num_planes: u32,
    /// DRM format code.
    pub fourcc: u32,
    /// Pixels allocated.
    pub backing_width: u32,
    /// Pixels allocated.
    pub backing_height: u32,
    /// DRM modifier.
    pub modifier: u64,
    /// The first row in memory is the bottom of the picture.
    pub y0_top: bool,
}

/// A call about the display.
#[derive(Debug)]
#[non_exhaustive]
pub enum Call {
    /// A whole new picture in the message.
    Scanout(Surface, Vec<u8>),
    /// A part of the picture in the message.
    Update(RawRect, Surface, Vec<u8>),
    /// A new picture in shared memory, from an offset on.
    ScanoutMap(OwnedFd, u32, Surface),
    /// A part of the shared memory changed.
    UpdateMap(RawRect),
    /// A new picture in dma-bufs.
    ScanoutDmabuf(Dmabuf),
    /// A part of the dma-buf changed; the reply gives the buffer back.
    UpdateDmabuf(RawRect),
    /// Nothing is shown.
    Disable,
    /// The pointer's shape: width, height, hot spot, ARGB in the machine's order.
    CursorDefine {
        /// Columns.
        width: i32,
        /// Rows.
        height: i32,
        /// The pixel that points.
        hot_x: i32,
        /// The pixel that points.
        hot_y: i32,
        /// Four bytes a pixel.
        bytes: Vec<u8>,
    },
    /// Where the pointer is, and whether it is shown.
    MouseSet {
        /// Column.
        x: i32,
        /// Row.
        y: i32,
        /// Whether it is shown.
        on: bool,
    },
}

impl Call {
    /// True for those that bring pixels.
    pub fn is_update(&self) -> bool {
        matches!(
            self,
            Self::Update(..) | Self::UpdateMap(_) | Self::UpdateDmabuf(_)
        )
    }

    /// The method's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Scanout(..) => "Scanout",
            Self::Update(..) => "Update",
            Self::ScanoutMap(..) => "ScanoutMap",
            Self::UpdateMap(_) => "UpdateMap",
            Self::ScanoutDmabuf(_) => "ScanoutDMABUF",
            Self::UpdateDmabuf(_) => "UpdateDMABUF",
            Self::Disable => "Disable",
            Self::CursorDefine { .. } => "CursorDefine",
            Self::MouseSet { .. } => "MouseSet",
        }
    }
}

/// What a message asks for.
#[derive(Debug)]
#[non_exhaustive]
pub enum Request {
    /// Something about the display.
    Display(Call),
    /// A property of an interface.
    Property(String, String),
    /// All properties of an interface.
    Properties(String),
    /// Is anybody there?
    Ping,
    /// What is there?
    Introspect,
}

/// A message that cannot be followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadCall {
    /// There is no such object.
    #[error("there is no object {path:?} here, only {LISTENER_PATH}")]
    NoSuchObject {
        /// The path seen.
        path: String,
    },
    /// There is no such method.
    #[error("the listener has no method {member:?} in interface {interface:?}")]
    NoSuchMethod {
        /// The interface seen.
        interface: String,
        /// The method seen.
        member: String,
    },
    /// The arguments are not those of the method, or a descriptor is missing.
    #[error("arguments of {member} do not read as {expected}: {source}")]
    Arguments {
        /// The method.
        member: String,
        /// Their signature by the interface's description.
        expected: &'static str,
        /// Why not.
        source: Box<zbus::Error>,
    },
    /// A descriptor could not be duplicated.
    #[error("a descriptor of {member} could not be kept: {source}")]
    Descriptor {
        /// The method.
        member: String,
        /// What the kernel answered.
        source: std::io::Error,
    },
}

impl BadCall {
    /// The error's name on the bus.
    pub fn dbus_name(&self) -> &'static str {
        match self {
            Self::NoSuchObject { .. } => "org.freedesktop.DBus.Error.UnknownObject",
            Self::NoSuchMethod { .. } => "org.freedesktop.DBus.Error.UnknownMethod",
            Self::Arguments { .. } => "org.freedesktop.DBus.Error.InvalidArgs",
            Self::Descriptor { .. } => "org.freedesktop.DBus.Error.LimitsExceeded",
        }
    }
}

/// True for what has to be answered.
pub fn is_call(message: &Message) -> bool {
    message.message_type() == Type::MethodCall
}

/// Reads one message.
pub fn decode(message: &Message) -> Result<Request, BadCall> {
    let header = message.header();
    let text = |name: Option<&str>| name.unwrap_or_default().to_owned();
    let path = header.path().map(|path| path.as_str());
    let interface = text(header.interface().map(|name| name.as_str()));
    let member = text(header.member().map(|name| name.as_str()));
    match (interface.as_str(), member.as_str()) {
        // Peer is answered for any path, as the specification of D-Bus asks.
        ("org.freedesktop.DBus.Peer", "Ping") => return Ok(Request::Ping),
        _ if path != Some(LISTENER_PATH) => {
            return Err(BadCall::NoSuchObject { path: text(path) });
        }
        ("org.freedesktop.DBus.Introspectable", "Introspect") => return Ok(Request::Introspect),
        ("org.freedesktop.DBus.Properties", "Get") => {
            let (interface, name): (String, String) = arguments(message, &header, "ss")?;
            return Ok(Request::Property(interface, name));
        }
        ("org.freedesktop.DBus.Properties", "GetAll") => {
            return Ok(Request::Properties(arguments(message, &header, "s")?));
        }
        _ => {}
    }
    display(message, &header, &interface, &member).map(Request::Display)
}

type Rect = (i32, i32, i32, i32);

fn raw((x, y, width, height): Rect) -> RawRect {
    RawRect {
        x,
        y,
        width,
        height,
    }
}

fn display(
    message: &Message,
    header: &Header<'_>,
    interface: &str,
    member: &str,
) -> Result<Call, BadCall> {
    let surface = |width, height, stride, pixman| Surface {
        width,
        height,
        stride,
        pixman,
    };
    Ok(match (interface, member) {
        (LISTENER, "Scanout") => {
            let body = message.body();
            let (width, height, stride, pixman, bytes): (u32, u32, u32, u32, &[u8]) =
                read(&body, header, "uuuuay")?;
            Call::Scanout(surface(width, height, stride, pixman), bytes.to_vec())
        }
        (LISTENER, "Update") => {
            let body = message.body();
            let (x, y, width, height, stride, pixman, bytes): (_, _, _, _, u32, u32, &[u8]) =
                read(&body, header, "iiiiuuay")?;
            let part = surface(
                u32::try_from(width).unwrap_or(0),
                u32::try_from(height).unwrap_or(0),
                stride,
                pixman,
            );
            Call::Update(raw((x, y, width, height)), part, bytes.to_vec())
        }
        (LISTENER_MAP, "ScanoutMap") => {
            let (fd, offset, width, height, stride, pixman): (
                zvariant::OwnedFd,
                u32,
                u32,
                u32,
                u32,
                u32,
            ) = arguments(message, header, "huuuuu")?;
            Call::ScanoutMap(fd.into(), offset, surface(width, height, stride, pixman))
        }
        (LISTENER_MAP, "UpdateMap") => Call::UpdateMap(raw(arguments(message, header, "iiii")?)),
        (LISTENER, "ScanoutDMABUF") => {
            let (fd, width, height, stride, fourcc, modifier, y0_top): (
                zvariant::OwnedFd,
                u32,
                u32,
                u32,
                u32,
                u64,
                bool,
            ) = arguments(message, header, "huuuutb")?;
            Call::ScanoutDmabuf(Dmabuf {
                fds: vec![fd.into()],
                x: 0,
                y: 0,
                width,
                height,
                offsets: vec![0],
                strides: vec![stride],
                num_planes: 1,
                fourcc,
                backing_width: width,
                backing_height: height,
                modifier,
                y0_top,
            })
        }
        (LISTENER_DMABUF2, "ScanoutDMABUF2") => Call::ScanoutDmabuf(dmabuf2(message, header)?),
        (LISTENER, "UpdateDMABUF") => Call::UpdateDmabuf(raw(arguments(message, header, "iiii")?)),
        (LISTENER, "Disable") => Call::Disable,
        (LISTENER, "CursorDefine") => {
            let body = message.body();
            let (width, height, hot_x, hot_y, bytes): (_, _, _, _, &[u8]) =
                read(&body, header, "iiiiay")?;
            Call::CursorDefine {
                width,
                height,
                hot_x,
                hot_y,
                bytes: bytes.to_vec(),
            }
        }
        (LISTENER, "MouseSet") => {
            let (x, y, on): (i32, i32, i32) = arguments(message, header, "iii")?;
            Call::MouseSet { x, y, on: on != 0 }
        }
        _ => {
            return Err(BadCall::NoSuchMethod {
                interface: interface.to_owned(),
                member: member.to_owned(),
            });
        }
    })
}

type Dmabuf2 = (
    Vec<zvariant::OwnedFd>,
    u32,
    u32,
    u32,
    u32,
    Vec<u32>,
    Vec<u32>,
    u32,
    u32,
    u32,
    u32,
    u64,
    bool,
);

fn dmabuf2(message: &Message, header: &Header<'_>) -> Result<Dmabuf, BadCall> {
    let (
        fds,
        x,
        y,
        width,
        height,
        offsets,
        strides,
        num_planes,
        fourcc,
        backing_width,
        backing_height,
        modifier,
        y0_top,
    ): Dmabuf2 = arguments(message, header, "ahuuuuauauuuuutb")?;
    Ok(Dmabuf {
        fds: fds.into_iter().map(OwnedFd::from).collect(),
        x,
        y,
        width,
        height,
        offsets,
        strides,
        num_planes,
        fourcc,
        backing_width,
        backing_height,
        modifier,
        y0_top,
    })
}

fn read<'b, T>(
    body: &'b zbus::message::Body,
    header: &Header<'_>,
    expected: &'static str,
) -> Result<T, BadCall>
where
    T: zvariant::DynamicDeserialize<'b>,
{
    body.deserialize().map_err(|source| BadCall::Arguments {
        member: header
            .member()
            .map(|name| name.to_string())
            .unwrap_or_default(),
        expected,
        source: source.into(),
    })
}

fn arguments<T>(
    message: &Message,
    header: &Header<'_>,
    expected: &'static str,
) -> Result<T, BadCall>
where
    T: for<'b> zvariant::DynamicDeserialize<'b>,
{
    read(&message.body(), header, expected)
}
