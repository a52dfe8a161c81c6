//! What a client sends on the display channel.

use super::super::WireError;
use super::super::base::{self, BaseClientMessage};
use super::super::codec::{Reader, Writer, at_most};
use super::super::frame::put;
use super::{Codec, kind};

/// The client's caches. Nothing is sent to it before this came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DisplayInit {
    /// Which of its image caches.
    pub pixmap_cache_id: u8,
    /// In pixels.
    pub pixmap_cache_size: i64,
    /// Which of its GLZ dictionaries.
    pub glz_dictionary_id: u8,
    /// In pixels.
    pub glz_dictionary_window_size: i32,
}

/// What became of the pictures of a stream since the last report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamReport {
    /// Of the stream.
    pub stream_id: u32,
    /// Of STREAM_ACTIVATE_REPORT.
    pub unique_id: u32,
    /// Stamp of the first picture.
    pub start_frame_mm_time: u32,
    /// Stamp of the last picture.
    pub end_frame_mm_time: u32,
    /// Pictures that arrived.
    pub num_frames: u32,
    /// Those of them that were late; clients may have shown them all the same.
    pub num_drops: u32,
    /// Stamp of the last picture less the client's clock when it arrived, in ms.
    pub last_frame_delay: i32,
    /// Latency of sound in ms, or `u32::MAX` for none.
    pub audio_delay: u32,
}

impl StreamReport {
    /// Whether it says that the client cannot decode the stream at all.
    pub fn unsupported(&self) -> bool {
        self.num_frames == 0 && self.num_drops == u32::MAX
    }
}

/// What a client sends on the display channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DisplayClientMessage<'a> {
    /// One of every channel's.
    Base(BaseClientMessage),
    /// The first message.
    Init(DisplayInit),
    /// How a stream does.
    StreamReport(StreamReport),
    /// The image compression wanted.
    PreferredCompression(u8),
    /// A scanout that was passed as a file descriptor was drawn.
    GlDrawDone,
    /// The codecs wanted, best first, by their numbers ([`codecs`](Self::codecs)).
    PreferredVideoCodecType(&'a [u8]),
    /// A message that is not known.
    Unknown {
        /// Its number.
        kind: u16,
        /// Bytes of its body.
        size: usize,
    },
}

impl<'a> DisplayClientMessage<'a> {
    /// The number of the message.
    pub fn kind(&self) -> u16 {
        match self {
            Self::Base(message) => message.kind(),
            Self::Init(_) => kind::INIT,
            Self::StreamReport(_) => kind::STREAM_REPORT,
            Self::PreferredCompression(_) => kind::PREFERRED_COMPRESSION,
            Self::GlDrawDone => kind::GL_DRAW_DONE,
            Self::PreferredVideoCodecType(_) => kind::PREFERRED_VIDEO_CODEC_TYPE,
            Self::Unknown { kind, .. } => *kind,
        }
    }

    /// The codecs wanted, best first; those that are not known are left out.
    pub fn codecs(&self) -> impl Iterator<Item = Codec> + use<'a> {
        let numbers = match *self {
            Self::PreferredVideoCodecType(numbers) => numbers,
            _ => &[],
        };
        numbers
            .iter()
            .filter_map(|number| Codec::from_wire(*number))
    }

    /// Appends header and body; an unknown message as that many zeros.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if let Self::Base(message) = self {
            return message.encode(out);
        }
        put(out, self.kind(), |w| match self {
            Self::Base(_) | Self::GlDrawDone => {}
            Self::Init(init) => {
                w.u8(init.pixmap_cache_id).i64(init.pixmap_cache_size);
                w.u8(init.glz_dictionary_id)
                    .i32(init.glz_dictionary_window_size);
            }
            Self::StreamReport(report) => report.put(w),
            Self::PreferredCompression(compression) => {
                w.u8(*compression);
            }
            Self::PreferredVideoCodecType(numbers) => {
                let numbers = at_most(numbers, u8::MAX.into());
                w.u8(numbers.len() as u8).bytes(numbers);
            }
            Self::Unknown { size, .. } => w.zeros(*size),
        });
    }

    /// The message of that number.
    ///
    /// # Errors
    /// A body too short for that message.
    pub fn decode(kind: u16, body: &'a [u8]) -> Result<Self, WireError> {
        match kind {
            ..=base::kind::LAST => BaseClientMessage::decode(kind, body).map(Self::Base),
            kind::INIT => {
                let mut r = Reader::new("display INIT", body);
                Ok(Self::Init(DisplayInit {
                    pixmap_cache_id: r.u8()?,
                    pixmap_cache_size: r.i64()?,
                    glz_dictionary_id: r.u8()?,
                    glz_dictionary_window_size: r.i32()?,
                }))
            }
            kind::STREAM_REPORT => StreamReport::decode(body).map(Self::StreamReport),
            kind::PREFERRED_COMPRESSION => {
                let compression = Reader::new("PREFERRED_COMPRESSION", body).u8()?;
                Ok(Self::PreferredCompression(compression))
            }
            kind::GL_DRAW_DONE => Ok(Self::GlDrawDone),
            kind::PREFERRED_VIDEO_CODEC_TYPE => {
                let mut r = Reader::new("PREFERRED_VIDEO_CODEC_TYPE", body);
                let count = r.u8()?;
                Ok(Self::PreferredVideoCodecType(r.bytes(count.into())?))
            }
            kind => Ok(Self::Unknown {
                kind,
                size: body.len(),
            }),
        }
    }
}

impl StreamReport {
    fn put(&self, w: &mut Writer<'_>) {
        w.u32(self.stream_id).u32(self.unique_id);
        w.u32(self.start_frame_mm_time).u32(self.end_frame_mm_time);
        w.u32(self.num_frames).u32(self.num_drops);
        w.i32(self.last_frame_delay).u32(self.audio_delay);
    }

    fn decode(body: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new("STREAM_REPORT", body);
        Ok(Self {
            stream_id: r.u32()?,
            unique_id: r.u32()?,
            start_frame_mm_time: r.u32()?,
            end_frame_mm_time: r.u32()?,
            num_frames: r.u32()?,
            num_drops: r.u32()?,
            last_frame_delay: r.i32()?,
            audio_delay: r.u32()?,
        })
    }
}
