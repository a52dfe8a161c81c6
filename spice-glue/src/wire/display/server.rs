//! What a server sends on the display channel.

use super::super::WireError;
use super::super::base::BaseServerMessage;
use super::super::codec::{Reader, at_most};
use super::super::frame::put;
use super::stream::{Clip, StreamCreate, exact, stream_id};
use super::{Rect, kind};

/// The most monitors of one display.
pub const HEADS_MAX: usize = 64;
/// The format of surfaces: 32 bits, of which the upper eight are not looked at.
pub const SURFACE_FORMAT_XRGB: u32 = 32;

bitflags::bitflags! {
    /// Properties of a surface.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct SurfaceFlags: u32 {
        /// The one that is shown. Of a display there is one at a time.
        const PRIMARY = 1;
        /// A hint that one stream covers all of it. Clients may give the stream a
        /// window of its own.
        const STREAMING_MODE = 2;
    }
}

/// A surface begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SurfaceCreate {
    /// Of no surface that lives.
    pub surface_id: u32,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// [`SURFACE_FORMAT_XRGB`].
    pub format: u32,
    /// Whether it is shown.
    pub flags: SurfaceFlags,
}

/// A monitor of MONITORS_CONFIG.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// From zero.
    pub monitor_id: u32,
    /// The surface it shows.
    pub surface_id: u32,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Place on the surface.
    pub x: u32,
    /// Place on the surface.
    pub y: u32,
    /// None are known.
    pub flags: u32,
}

/// A picture of a stream. A server writes it by
/// [`StreamDataHeader`](super::StreamDataHeader) instead.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StreamData<'a> {
    /// Of the stream.
    pub stream_id: u32,
    /// When it is to be shown.
    pub mm_time: u32,
    /// The picture.
    pub data: &'a [u8],
}

/// A picture of a stream, with a size and place of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StreamDataSized<'a> {
    /// Of the stream.
    pub stream_id: u32,
    /// When it is to be shown.
    pub mm_time: u32,
    /// Of the picture.
    pub width: u32,
    /// Of the picture.
    pub height: u32,
    /// Where on the surface.
    pub dest: Rect,
    /// The picture.
    pub data: &'a [u8],
}

/// What a server sends on the display channel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DisplayServerMessage<'a> {
    /// One of every channel's, or one that is not known.
    Base(BaseServerMessage<'a>),
    /// Resolution, of servers without surfaces.
    Mode {
        /// Width in pixels.
        x_res: u32,
        /// Height in pixels.
        y_res: u32,
        /// Bits of a pixel.
        bits: u32,
    },
    /// What was drawn may be shown.
    Mark,
    /// Forget everything.
    Reset,
    /// A stream begins.
    StreamCreate(StreamCreate),
    /// A picture.
    StreamData(StreamData<'a>),
    /// A picture with a size of its own.
    StreamDataSized(StreamDataSized<'a>),
    /// Where a stream is seen from now on.
    StreamClip {
        /// Of the stream.
        stream_id: u32,
        /// Where.
        clip: Clip,
    },
    /// A stream ends.
    StreamDestroy {
        /// Of the stream.
        stream_id: u32,
    },
    /// All streams end.
    StreamDestroyAll,
    /// A surface begins.
    SurfaceCreate(SurfaceCreate),
    /// A surface ends.
    SurfaceDestroy {
        /// Of the surface.
        surface_id: u32,
    },
    /// The monitors.
    MonitorsConfig {
        /// The most there can be.
        max_allowed: u16,
        /// Those there are, at most [`HEADS_MAX`].
        heads: Vec<Head>,
    },
    /// A client with the capability is to report.
    StreamActivateReport {
        /// Of the stream.
        stream_id: u32,
        /// Named in the reports, to tell streams of one id apart.
        unique_id: u32,
        /// Pictures of a report.
        max_window_size: u32,
        /// Milliseconds of a report.
        timeout_ms: u32,
    },
}

impl<'a> DisplayServerMessage<'a> {
    /// The number of the message.
    pub fn kind(&self) -> u16 {
        match self {
            Self::Base(message) => message.kind(),
            Self::Mode { .. } => kind::MODE,
            Self::Mark => kind::MARK,
            Self::Reset => kind::RESET,
            Self::StreamCreate(_) => kind::STREAM_CREATE,
            Self::StreamData(_) => kind::STREAM_DATA,
            Self::StreamDataSized(_) => kind::STREAM_DATA_SIZED,
            Self::StreamClip { .. } => kind::STREAM_CLIP,
            Self::StreamDestroy { .. } => kind::STREAM_DESTROY,
            Self::StreamDestroyAll => kind::STREAM_DESTROY_ALL,
            Self::SurfaceCreate(_) => kind::SURFACE_CREATE,
            Self::SurfaceDestroy { .. } => kind::SURFACE_DESTROY,
            Self::MonitorsConfig { .. } => kind::MONITORS_CONFIG,
            Self::StreamActivateReport { .. } => kind::STREAM_ACTIVATE_REPORT,
        }
    }

    /// Appends header and body. Of lists longer than their bound, what is beyond it
    /// is left out.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if let Self::Base(message) = self {
            return message.encode(out);
        }
        put(out, self.kind(), |w| match self {
            Self::Base(_) | Self::Mark | Self::Reset | Self::StreamDestroyAll => {}
            Self::Mode { x_res, y_res, bits } => {
                w.u32(*x_res).u32(*y_res).u32(*bits);
            }
            Self::StreamCreate(stream) => stream.put(w),
            Self::StreamData(picture) => {
                w.u32(picture.stream_id).u32(picture.mm_time);
                w.u32(picture.data.len() as u32).bytes(picture.data);
            }
            Self::StreamDataSized(picture) => {
                w.u32(picture.stream_id).u32(picture.mm_time);
                w.u32(picture.width).u32(picture.height).rect(&picture.dest);
                w.u32(picture.data.len() as u32).bytes(picture.data);
            }
            Self::StreamClip { stream_id, clip } => {
                w.u32(*stream_id);
                clip.put(w);
            }
            Self::StreamDestroy { stream_id: id } | Self::SurfaceDestroy { surface_id: id } => {
                w.u32(*id);
            }
            Self::SurfaceCreate(surface) => {
                w.u32(surface.surface_id)
                    .u32(surface.width)
                    .u32(surface.height);
                w.u32(surface.format).u32(surface.flags.bits());
            }
            Self::MonitorsConfig { max_allowed, heads } => {
                let heads = at_most(heads, HEADS_MAX);
                w.u16(heads.len() as u16).u16(*max_allowed);
                for head in heads {
                    w.u32(head.monitor_id)
                        .u32(head.surface_id)
                        .u32(head.width)
                        .u32(head.height);
                    w.u32(head.x).u32(head.y).u32(head.flags);
                }
            }
            Self::StreamActivateReport {
                stream_id,
                unique_id,
                max_window_size,
                timeout_ms,
            } => {
                w.u32(*stream_id)
                    .u32(*unique_id)
                    .u32(*max_window_size)
                    .u32(*timeout_ms);
            }
        });
    }

    /// The message of that number.
    ///
    /// # Errors
    /// A body that is not exactly that message.
    pub fn decode(kind: u16, body: &'a [u8]) -> Result<Self, WireError> {
        let name = match kind {
            kind::MODE => "MODE",
            kind::MARK => "MARK",
            kind::RESET => "RESET",
            kind::STREAM_CREATE => "STREAM_CREATE",
            kind::STREAM_DATA => "STREAM_DATA",
            kind::STREAM_DATA_SIZED => "STREAM_DATA_SIZED",
            kind::STREAM_CLIP => "STREAM_CLIP",
            kind::STREAM_DESTROY => "STREAM_DESTROY",
            kind::STREAM_DESTROY_ALL => "STREAM_DESTROY_ALL",
            kind::SURFACE_CREATE => "SURFACE_CREATE",
            kind::SURFACE_DESTROY => "SURFACE_DESTROY",
            kind::MONITORS_CONFIG => "MONITORS_CONFIG",
            kind::STREAM_ACTIVATE_REPORT => "STREAM_ACTIVATE_REPORT",
            kind => return BaseServerMessage::decode(kind, body).map(Self::Base),
        };
        let mut r = Reader::new(name, body);
        let message = match kind {
            kind::MODE => Self::Mode {
                x_res: r.u32()?,
                y_res: r.u32()?,
                bits: r.u32()?,
            },
            kind::MARK => Self::Mark,
            kind::RESET => Self::Reset,
            kind::STREAM_CREATE => Self::StreamCreate(StreamCreate::take(&mut r)?),
            kind::STREAM_DATA => Self::StreamData(StreamData {
                stream_id: stream_id(&mut r)?,
                mm_time: r.u32()?,
                data: picture(&mut r, "size of STREAM_DATA")?,
            }),
            kind::STREAM_DATA_SIZED => Self::StreamDataSized(StreamDataSized {
                stream_id: stream_id(&mut r)?,
                mm_time: r.u32()?,
                width: r.u32()?,
                height: r.u32()?,
                dest: r.rect()?,
                data: picture(&mut r, "size of STREAM_DATA_SIZED")?,
            }),
            kind::STREAM_CLIP => Self::StreamClip {
                stream_id: stream_id(&mut r)?,
                clip: Clip::take(&mut r)?,
            },
            kind::STREAM_DESTROY => Self::StreamDestroy {
                stream_id: stream_id(&mut r)?,
            },
            kind::STREAM_DESTROY_ALL => Self::StreamDestroyAll,
            kind::SURFACE_CREATE => Self::SurfaceCreate(SurfaceCreate {
                surface_id: r.u32()?,
                width: r.u32()?,
                height: r.u32()?,
                format: r.u32()?,
                flags: SurfaceFlags::from_bits_retain(r.u32()?),
            }),
            kind::SURFACE_DESTROY => Self::SurfaceDestroy {
                surface_id: r.u32()?,
            },
            kind::MONITORS_CONFIG => monitors(&mut r)?,
            // The names above leave only this one.
            _ => Self::StreamActivateReport {
                stream_id: stream_id(&mut r)?,
                unique_id: r.u32()?,
                max_window_size: r.u32()?,
                timeout_ms: r.u32()?,
            },
        };
        r.finish(message)
    }
}

fn picture<'a>(r: &mut Reader<'a>, field: &'static str) -> Result<&'a [u8], WireError> {
    let (offset, size) = (r.offset(), r.u32()?);
    exact(field, offset, size, r.left())?;
    Ok(r.rest())
}

fn monitors<'a>(r: &mut Reader<'_>) -> Result<DisplayServerMessage<'a>, WireError> {
    let (count, max_allowed) = (r.u16()?, r.u16()?);
    let count = r.count("heads of MONITORS_CONFIG", count.into(), 28, HEADS_MAX)?;
    let mut heads = Vec::with_capacity(count);
    for _ in 0..count {
        heads.push(Head {
            monitor_id: r.u32()?,
            surface_id: r.u32()?,
            width: r.u32()?,
            height: r.u32()?,
            x: r.u32()?,
            y: r.u32()?,
            flags: r.u32()?,
        });
    }
    Ok(DisplayServerMessage::MonitorsConfig { max_allowed, heads })
}

// Pictures are too long to print.
impl std::fmt::Debug for StreamData<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamData")
            .field("stream_id", &self.stream_id)
            .field("mm_time", &self.mm_time)
            .field("size", &self.data.len())
            .finish()
    }
}

impl std::fmt::Debug for StreamDataSized<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamDataSized")
            .field("stream_id", &self.stream_id)
            .field("mm_time", &self.mm_time)
            .field("width", &self.width)
            .field("height", &self.height)
            .field("dest", &self.dest)
            .field("size", &self.data.len())
            .finish()
    }
}
