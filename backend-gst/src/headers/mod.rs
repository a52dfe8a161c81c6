//! What the stream itself says: read from the first packet, compared with what
//! was asked for, and mended where an H.264 element leaves a description out.

mod hevc;

use scanout_core::codec::h264::{self, Rewrite, SpsRewriter};
use scanout_core::codec::{SyntaxError, annexb, av1, hevc as h265, jpeg, vp8, vp9};
use scanout_core::color::{ColorSpec, Matrix, Range};
use scanout_core::encoder::{Chroma, Codec, PacketBytes, StreamInfo};
use scanout_core::geometry::Size;

/// Bytes at the start of an access unit in which its kind shows: delimiter,
/// parameter sets and messages are far shorter.
const HEAD: usize = 64 * 1024;

/// The stream is not what was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    #[error("the first packet is no keyframe")]
    NoKeyframe,
    #[error("the first packet holds no {0}")]
    Lacks(&'static str),
    #[error("coded at {seen} instead of {expected}")]
    Size { seen: Size, expected: Size },
    #[error("coded in chroma format {seen} instead of {expected}")]
    Chroma { seen: String, expected: Chroma },
    #[error("the headers say colour {seen}, and the pixels are {expected}")]
    Color { seen: String, expected: ColorSpec },
    #[error("pictures are reordered by {0}, which delays them")]
    Reordered(u32),
}

/// Reads, checks and mends one stream's headers.
#[derive(Debug)]
pub(crate) struct Headers {
    codec: Codec,
    size: Size,
    chroma: Chroma,
    color: ColorSpec,
    rewriter: SpsRewriter,
    scratch: Vec<u8>,
    sequence: Option<av1::SequenceHeader>,
    /// Parameter sets in Annex-B form, for keyframes that lack them.
    sets: Vec<u8>,
}

impl Headers {
    /// For pictures that an encoder of `codec` is told to be of `size`.
    /// `in_order` where the encoder is known not to reorder: H.264 headers then
    /// say so.
    pub(crate) fn new(
        codec: Codec,
        size: Size,
        chroma: Chroma,
        color: ColorSpec,
        in_order: bool,
    ) -> Self {
        let mut rewriter = SpsRewriter::new().color(color);
        if in_order {
            rewriter = rewriter.assert_no_reordering();
        }
        Self {
            codec,
            size,
            chroma,
            color,
            rewriter,
            scratch: Vec::new(),
            sequence: None,
            sets: Vec::new(),
        }
    }

    /// Whether decoding can start at `unit`, as its own syntax says.
    pub(crate) fn is_keyframe(&self, unit: &[u8]) -> Result<bool, SyntaxError> {
        let head = unit.get(..HEAD).unwrap_or(unit);
        Ok(match self.codec {
            Codec::H264 => first_slice(head) == Some(h264::NalType::IDR),
            Codec::H265 => h265::contents(head).keyframe,
            Codec::Vp8 => vp8::FrameHeader::read(unit)?.keyframe.is_some(),
            Codec::Vp9 => vp9::FrameHeader::read(unit)?.keyframe.is_some(),
            Codec::Mjpeg => jpeg::FrameHeader::read(unit).map(|_| true)?,
            _ => av1::contents(unit, self.sequence)?.keyframe,
        })
    }

    /// Writes `unit` to `out`, with parameter sets that describe the stream:
    /// what an H.264 element leaves out is put in, and a keyframe without
    /// parameter sets gets the ones before it.
    pub(crate) fn copy(
        &mut self,
        unit: &[u8],
        keyframe: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), SyntaxError> {
        if keyframe && !self.sets.is_empty() && !has_sets(self.codec, unit) {
            out.extend_from_slice(&self.sets);
        }
        if self.codec == Codec::H264
            && keyframe
            && self.rewriter.rewrite(unit, &mut self.scratch)? == Rewrite::Rewritten
        {
            out.extend_from_slice(&self.scratch);
        } else {
            out.extend_from_slice(unit);
        }
        Ok(())
    }

    /// Completes `info` from the first packet, as [`Headers::copy`] left it.
    pub(crate) fn describe(
        &mut self,
        packet: &[u8],
        info: &mut StreamInfo,
    ) -> Result<(), HeaderError> {
        if !self.is_keyframe(packet)? {
            return Err(HeaderError::NoKeyframe);
        }
        match self.codec {
            Codec::H264 => self.describe_h264(packet, info)?,
            Codec::H265 => self.describe_h265(packet, info)?,
            Codec::Vp8 => {
                let size = vp8::FrameHeader::read(packet)?.keyframe;
                self.check_size(size.unwrap_or_default())?;
                info.color_in_headers = Some(false);
                info.codec_string = Some("vp8".to_owned());
                info.reorder_depth = Some(0);
            }
            Codec::Vp9 => self.describe_vp9(packet, info)?,
            Codec::Mjpeg => self.describe_jpeg(packet, info)?,
            _ => self.describe_av1(packet, info)?,
        }
        match info.reorder_depth {
            Some(depth) if depth > 0 => Err(HeaderError::Reordered(depth)),
            _ => Ok(()),
        }
    }

    fn check_size(&self, seen: Size) -> Result<(), HeaderError> {
        if seen == self.size {
            return Ok(());
        }
        Err(HeaderError::Size {
            seen,
            expected: self.size,
        })
    }

    fn check_idc(&self, chroma_format_idc: u32) -> Result<(), HeaderError> {
        let expected = if self.chroma == Chroma::C444 { 3 } else { 1 };
        if chroma_format_idc == expected {
            return Ok(());
        }
        Err(HeaderError::Chroma {
            seen: chroma_format_idc.to_string(),
            expected: self.chroma,
        })
    }

    fn check_chroma(&self, subsampling: (bool, bool)) -> Result<(), HeaderError> {
        let expected = match self.chroma {
            Chroma::C444 => (false, false),
            _ => (true, true),
        };
        if subsampling == expected {
            return Ok(());
        }
        Err(HeaderError::Chroma {
            seen: format!("with subsampling {subsampling:?}"),
            expected: self.chroma,
        })
    }

    /// Compares primaries, transfer, matrix and range with ours. Code 2 says
    /// "unspecified" and is as good as nothing.
    fn check_color(&self, codes: (u8, u8, u8), full: bool) -> Result<bool, HeaderError> {
        let ours = (
            self.color.primaries.code(),
            self.color.transfer.code(),
            self.color.matrix.code(),
        );
        if codes == (2, 2, 2) {
            return Ok(false);
        }
        if codes == ours && full == (self.color.range == Range::Full) {
            return Ok(true);
        }
        Err(HeaderError::Color {
            seen: format!(
                "{}/{}/{} {}",
                codes.0,
                codes.1,
                codes.2,
                if full { "full" } else { "limited" }
            ),
            expected: self.color,
        })
    }

    fn keep_sets(&mut self, packet: &[u8], info: &mut StreamInfo) {
        let head = packet.get(..HEAD).unwrap_or(packet);
        self.sets.clear();
        for nal in annexb::nal_units(head) {
            if is_set(self.codec, nal.bytes) {
                annexb::write_nal(nal.bytes, &mut self.sets);
            }
        }
        info.parameter_sets = Some(PacketBytes::from(self.sets.clone()));
    }

    fn describe_h264(&mut self, packet: &[u8], info: &mut StreamInfo) -> Result<(), HeaderError> {
        let head = packet.get(..HEAD).unwrap_or(packet);
        let sps = annexb::nal_units(head)
            .find(|nal| h264_type(nal.bytes) == Some(h264::NalType::SPS))
            .ok_or(HeaderError::Lacks("sequence parameter set"))?;
        let sps = h264::Sps::read_nal(sps.bytes)?;
        self.check_size(sps.visible_size())?;
        self.check_idc(sps.chroma_format_idc().into())?;
        info.color_in_headers = Some(match sps.color() {
            Some((codes, full)) => {
                self.check_color((codes.primaries, codes.transfer, codes.matrix), full)?
            }
            None => false,
        });
        info.codec_string = Some(sps.codec_string());
        info.reorder_depth = sps.reorder().map(|r| r.max_num_reorder_frames.into());
        self.keep_sets(packet, info);
        Ok(())
    }

    fn describe_h265(&mut self, packet: &[u8], info: &mut StreamInfo) -> Result<(), HeaderError> {
        let head = packet.get(..HEAD).unwrap_or(packet);
        let contents = h265::contents(head);
        if !(contents.vps && contents.pps) {
            return Err(HeaderError::Lacks("complete parameter sets"));
        }
        let nal = annexb::nal_units(head)
            .find(|nal| h265_type(nal.bytes) == Some(h265::NalType::SPS))
            .ok_or(HeaderError::Lacks("sequence parameter set"))?;
        let (_, payload) = h265::NalHeader::split(nal.bytes)?;
        let sps = hevc::Sps::read(payload)?;
        self.check_size(sps.size)?;
        self.check_idc(sps.chroma_format_idc)?;
        info.color_in_headers = Some(match sps.color {
            Some((codes, full)) => self.check_color(codes, full)?,
            None => false,
        });
        info.codec_string = Some(sps.codec_string);
        info.reorder_depth = Some(sps.reorder);
        self.keep_sets(packet, info);
        Ok(())
    }

    fn describe_vp9(&mut self, packet: &[u8], info: &mut StreamInfo) -> Result<(), HeaderError> {
        let header = vp9::FrameHeader::read(packet)?;
        let Some(key) = header.keyframe else {
            return Err(HeaderError::NoKeyframe);
        };
        self.check_size(key.render_size.unwrap_or(key.size))?;
        self.check_chroma(key.color.subsampling)?;
        // The header knows the matrix and the range only (section 7.2.2).
        let matrix = match self.color.matrix {
            Matrix::Bt601 => &[1, 3][..],
            _ => &[2],
        };
        info.color_in_headers = Some(
            matrix.contains(&key.color.color_space)
                && key.color.full_range == (self.color.range == Range::Full),
        );
        info.codec_string = Some("vp9".to_owned());
        info.reorder_depth = Some(0);
        Ok(())
    }

    fn describe_jpeg(&mut self, packet: &[u8], info: &mut StreamInfo) -> Result<(), HeaderError> {
        let header = jpeg::FrameHeader::read(packet)?;
        self.check_size(header.size)?;
        self.check_chroma(header.subsampling)?;
        // The marker says all of it.
        let sited =
            self.chroma == Chroma::C444 || self.color.chroma_site == ColorSpec::JFIF.chroma_site;
        info.color_in_headers = Some(header.jfif && sited);
        info.codec_string = Some("mjpeg".to_owned());
        info.reorder_depth = Some(0);
        Ok(())
    }

    fn describe_av1(&mut self, packet: &[u8], info: &mut StreamInfo) -> Result<(), HeaderError> {
        let sequence = av1::contents(packet, None)?
            .sequence
            .ok_or(HeaderError::Lacks("sequence header"))?;
        self.check_size(sequence.max_size)?;
        self.check_chroma(sequence.color.subsampling)?;
        info.color_in_headers =
            Some(self.check_color(sequence.color.codes, sequence.color.full_range)?);
        info.codec_string = Some(sequence.codec_string());
        info.reorder_depth = Some(0);
        self.sequence = Some(sequence);
        for obu in av1::obus(packet) {
            let obu = obu?;
            if obu.obu_type == av1::ObuType::SEQUENCE_HEADER {
                // obu_has_size_field is the bit of value 2.
                let mut bytes = vec![obu.obu_type.0 << 3 | 2];
                av1::write_leb128(u32::try_from(obu.payload.len()).unwrap_or(0), &mut bytes);
                bytes.extend_from_slice(obu.payload);
                info.parameter_sets = Some(PacketBytes::from(bytes));
                break;
            }
        }
        Ok(())
    }
}

fn h264_type(nal: &[u8]) -> Option<h264::NalType> {
    nal.first().map(|byte| h264::NalType(byte & 31))
}

fn h265_type(nal: &[u8]) -> Option<h265::NalType> {
    nal.first().map(|byte| h265::NalType(byte >> 1 & 63))
}

fn first_slice(head: &[u8]) -> Option<h264::NalType> {
    annexb::nal_units(head)
        .filter_map(|nal| h264_type(nal.bytes))
        .find(|kind| kind.is_vcl())
}

fn is_set(codec: Codec, nal: &[u8]) -> bool {
    match codec {
        Codec::H264 => matches!(
            h264_type(nal),
            Some(h264::NalType::SPS | h264::NalType::PPS)
        ),
        Codec::H265 => matches!(
            h265_type(nal),
            Some(h265::NalType::VPS | h265::NalType::SPS | h265::NalType::PPS)
        ),
        _ => false,
    }
}

fn has_sets(codec: Codec, unit: &[u8]) -> bool {
    let head = unit.get(..HEAD).unwrap_or(unit);
    annexb::nal_units(head).any(|nal| is_set(codec, nal.bytes))
}
