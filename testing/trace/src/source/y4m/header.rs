//! The header of a stream, and why one cannot be used.

use scanout_core::format::Fourcc;
use scanout_core::geometry::Size;

use super::super::{FrameRate, SizeError, SourcePlane, checked_rate, checked_size};

pub(super) const MAGIC: &[u8] = b"YUV4MPEG2";
/// Longest stream header: comments may be long, but not without end.
pub(super) const MAX_HEADER: usize = 4096;

/// How chroma is sampled, and where the samples lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Y4mChroma {
    /// 4:2:0, samples in the centre of four pixels (`420jpeg`, and plain `420`).
    C420Jpeg,
    /// 4:2:0, samples on the left (`420mpeg2`).
    C420Mpeg2,
    /// 4:2:0, samples at the top left (`420paldv`).
    C420Paldv,
    /// 4:2:2.
    C422,
    /// 4:4:4.
    C444,
}

impl Y4mChroma {
    /// The tag after `C` in the header.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::C420Jpeg => "420jpeg",
            Self::C420Mpeg2 => "420mpeg2",
            Self::C420Paldv => "420paldv",
            Self::C422 => "422",
            Self::C444 => "444",
        }
    }

    /// Format of the frames: three planes Y, U, V.
    pub const fn fourcc(self) -> Fourcc {
        match self {
            Self::C420Jpeg | Self::C420Mpeg2 | Self::C420Paldv => Fourcc::YUV420,
            Self::C422 => Fourcc::YUV422,
            Self::C444 => Fourcc::YUV444,
        }
    }

    /// Size of the chroma planes of a frame of `size`; odd sides round up.
    pub const fn chroma_size(self, size: Size) -> Size {
        match self {
            Self::C444 => size,
            Self::C422 => Size::new(size.width.div_ceil(2), size.height),
            _ => Size::new(size.width.div_ceil(2), size.height.div_ceil(2)),
        }
    }

    fn of_tag(tag: &str) -> Option<Self> {
        Some(match tag {
            "420" | "420jpeg" => Self::C420Jpeg,
            "420mpeg2" => Self::C420Mpeg2,
            "420paldv" => Self::C420Paldv,
            "422" => Self::C422,
            "444" => Self::C444,
            _ => return None,
        })
    }
}

/// What the header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Y4mHeader {
    /// Width and height.
    pub size: Size,
    /// The rate; 25 where the file says that it is unknown.
    pub fps: FrameRate,
    /// Chroma sampling.
    pub chroma: Y4mChroma,
    /// Full range as ffmpeg's `XCOLORRANGE` states it; `None` when unsaid.
    pub full_range: Option<bool>,
}

impl Y4mHeader {
    /// Bytes of one frame without its header.
    pub fn frame_bytes(&self) -> usize {
        let chroma = self.chroma.chroma_size(self.size);
        // At most 3 * MAX_PIXELS, by the bounds of the size.
        (self.size.area() + 2 * chroma.area()) as usize
    }

    pub(super) fn planes(&self) -> [SourcePlane; 3] {
        let luma = self.size.area() as usize;
        let chroma = self.chroma.chroma_size(self.size);
        let stride = chroma.width as usize;
        let plane = |offset, stride| SourcePlane { offset, stride };
        [
            plane(0, self.size.width as usize),
            plane(luma, stride),
            plane(luma + chroma.area() as usize, stride),
        ]
    }
}

/// Why a Y4M file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Y4mError {
    /// Some other file.
    #[error("no Y4M file: it does not begin with YUV4MPEG2")]
    Magic,
    /// The header does not end.
    #[error("the {what} header has no end within {limit} bytes")]
    HeaderLength {
        /// Stream or frame.
        what: &'static str,
        /// The most that is read.
        limit: usize,
    },
    /// The file ends within its header.
    #[error("the file ends after {seen} bytes, within its header: there is no line feed")]
    HeaderCut {
        /// Bytes of the file.
        seen: usize,
    },
    /// Width or height is missing.
    #[error("the header lacks {0}")]
    Missing(&'static str),
    /// A field that cannot be understood.
    #[error("header field {field:?}: {expected}")]
    Field {
        /// The field as it stands there.
        field: String,
        /// What would be right.
        expected: &'static str,
    },
    /// Chroma that Scanout does not take.
    #[error(
        "chroma {0:?} is not supported: 420, 420jpeg, 420mpeg2, 420paldv, 422 and 444 are (8 bits); \
         convert with `ffmpeg -i IN -pix_fmt yuv420p OUT.y4m`"
    )]
    Chroma(String),
    /// Fields instead of frames.
    #[error("interlaced ({0:?}): only progressive video (Ip) is supported")]
    Interlaced(String),
    /// A size out of bounds.
    #[error(transparent)]
    Size(#[from] SizeError),
    /// Something else where a frame should begin.
    #[error("frame {frame} begins with {seen:?} instead of FRAME")]
    FrameMagic {
        /// Number of the frame.
        frame: u64,
        /// The first bytes.
        seen: String,
    },
}

/// The start of `bytes` for a message.
pub(super) fn text(bytes: &[u8]) -> String {
    // Enough to recognise it; hostile files should not fill a terminal.
    let shown = bytes.get(..32).unwrap_or(bytes);
    String::from_utf8_lossy(shown).into_owned()
}

fn ratio(value: &str) -> Option<(u32, u32)> {
    let (num, den) = value.split_once(':')?;
    Some((num.parse().ok()?, den.parse().ok()?))
}

/// Reads a stream header: the bytes up to the first line feed, with or without it.
pub fn parse_header(line: &[u8]) -> Result<Y4mHeader, Y4mError> {
    let line = line.split(|b| *b == b'\n').next().unwrap_or(line);
    if line.len() > MAX_HEADER {
        return Err(Y4mError::HeaderLength {
            what: "stream",
            limit: MAX_HEADER,
        });
    }
    let mut fields = line.split(|b| *b == b' ');
    if fields.next() != Some(MAGIC) {
        return Err(Y4mError::Magic);
    }
    let (mut width, mut height) = (None, None);
    let mut fps = FrameRate::whole(25);
    let mut chroma = Y4mChroma::C420Jpeg;
    let mut full_range = None;
    for field in fields {
        let Some((&tag, value)) = field.split_first() else {
            continue;
        };
        let value = String::from_utf8_lossy(value);
        let bad = |expected| Y4mError::Field {
            field: text(field),
            expected,
        };
        match tag {
            b'W' | b'H' => {
                let side: u64 = value.parse().map_err(|_| bad("a number of pixels"))?;
                *(if tag == b'W' { &mut width } else { &mut height }) = Some(side);
            }
            b'F' => {
                let (num, den) = ratio(&value).ok_or_else(|| bad("a rate such as F30:1"))?;
                // 0:0 is how the format says "unknown".
                if (num, den) != (0, 0) {
                    fps = checked_rate(num, den)
                        .map_err(|_| bad("a rate above 0 and at most 1000 per second"))?;
                }
            }
            b'I' if !matches!(&*value, "p" | "?") => {
                return Err(Y4mError::Interlaced(text(field)));
            }
            b'C' => {
                chroma = Y4mChroma::of_tag(&value)
                    .ok_or_else(|| Y4mError::Chroma(text(value.as_bytes())))?;
            }
            b'X' => match &*value {
                "COLORRANGE=FULL" => full_range = Some(true),
                "COLORRANGE=LIMITED" => full_range = Some(false),
                _ => {}
            },
            _ => {}
        }
    }
    let width = width.ok_or(Y4mError::Missing("a width (W)"))?;
    let height = height.ok_or(Y4mError::Missing("a height (H)"))?;
    Ok(Y4mHeader {
        size: checked_size(width, height)?,
        fps,
        chroma,
        full_range,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> Result<Y4mHeader, Y4mError> {
        parse_header(text.as_bytes())
    }

    #[test]
    fn headers_read_as_their_writers_mean_them() {
        let ffmpeg = header("YUV4MPEG2 W1366 H767 F30000:1001 Ip A1:1 C420mpeg2 XYSCSS=420MPEG2 XCOLORRANGE=LIMITED\n").unwrap();
        assert_eq!(ffmpeg.size, Size::new(1366, 767));
        assert_eq!(
            ffmpeg.fps,
            FrameRate {
                num: 30000,
                den: 1001
            }
        );
        assert_eq!(ffmpeg.chroma, Y4mChroma::C420Mpeg2);
        assert_eq!(ffmpeg.full_range, Some(false));
        assert_eq!(ffmpeg.frame_bytes(), 1366 * 767 + 2 * 683 * 384);
        let bare = header("YUV4MPEG2 W2 H2").unwrap();
        assert_eq!(
            (bare.chroma, bare.fps),
            (Y4mChroma::C420Jpeg, FrameRate::whole(25))
        );
    }

    #[test]
    fn unusable_headers_are_refused_with_the_bound() {
        for (text, word) in [
            ("YUV4MPEG W2 H2", "YUV4MPEG2"),
            ("YUV4MPEG2 W2", "height"),
            ("YUV4MPEG2 H2", "width"),
            ("YUV4MPEG2 W0 H2", "16384"),
            ("YUV4MPEG2 W100000 H2", "100000x2"),
            ("YUV4MPEG2 W16384 H16384", "67108864"),
            ("YUV4MPEG2 W18446744073709551616 H2", "pixels"),
            ("YUV4MPEG2 W-1 H2", "pixels"),
            ("YUV4MPEG2 W2 H2 F0:1", "at most 1000"),
            ("YUV4MPEG2 W2 H2 F4000:1", "at most 1000"),
            ("YUV4MPEG2 W2 H2 F30", "F30:1"),
            ("YUV4MPEG2 W2 H2 It", "progressive"),
            ("YUV4MPEG2 W2 H2 Cmono", "mono"),
            ("YUV4MPEG2 W2 H2 C420p10", "420p10"),
        ] {
            let error = header(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
