//! JPEG: the marker segments before the first scan (ITU-T T.81, annex B; JFIF
//! is T.871).

use super::bits::{SyntaxError, out_of_range};
use crate::geometry::Size;

/// What the start of a picture says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Size of the picture.
    pub size: Size,
    /// Bits of a sample.
    pub precision: u8,
    /// Components: three of Y'CbCr, one of grey.
    pub components: u8,
    /// Whether chroma is subsampled across and down. False for grey.
    pub subsampling: (bool, bool),
    /// It is a JFIF picture: Y'CbCr of BT.601 in full range, and chroma in the
    /// middle of its luma samples.
    pub jfif: bool,
    /// Baseline, one scan: what every decoder takes.
    pub baseline: bool,
}

/// Markers (T.81, table B.1).
const SOI: u8 = 0xD8;
const SOS: u8 = 0xDA;
const EOI: u8 = 0xD9;
const APP0: u8 = 0xE0;
const DHT: u8 = 0xC4;
const JPG: u8 = 0xC8;
const DAC: u8 = 0xCC;

impl FrameHeader {
    /// Reads the segments up to the first scan.
    pub fn read(picture: &[u8]) -> Result<Self, SyntaxError> {
        let truncated = |element, at: usize| SyntaxError::Truncated {
            element,
            bit: at.saturating_mul(8),
        };
        let byte = |element, at: usize| picture.get(at).copied().ok_or(truncated(element, at));
        let marker = |at: usize| match byte("marker", at)? {
            0xFF => byte("marker", at.saturating_add(1)),
            value => Err(out_of_range("marker", at * 8, value.into(), 0xFF, 0xFF)),
        };
        let start = marker(0)?;
        if start != SOI {
            return Err(out_of_range("SOI", 8, start.into(), SOI.into(), SOI.into()));
        }
        let mut at = 2;
        let mut jfif = false;
        let mut frame = None;
        loop {
            let kind = marker(at)?;
            // Any number of fill bytes may precede a marker (B.1.1.2).
            if kind == 0xFF {
                at += 1;
                continue;
            }
            if kind == EOI {
                return Err(truncated("frame header", at));
            }
            let length = usize::from(u16::from_be_bytes([
                byte("segment length", at + 2)?,
                byte("segment length", at + 3)?,
            ]));
            if length < 2 {
                let (bit, length) = ((at + 2) * 8, length as i64);
                return Err(out_of_range("segment length", bit, length, 2, 0xFFFF));
            }
            let body = picture
                .get(at + 4..at + 2 + length)
                .ok_or(truncated("segment", at + 4))?;
            match kind {
                SOS => break,
                APP0 => jfif |= body.starts_with(b"JFIF\0"),
                0xC0..=0xCF if !matches!(kind, DHT | JPG | DAC) => {
                    frame = Some(Self::frame(kind, body, at + 4)?);
                }
                _ => {}
            }
            at += 2 + length;
        }
        let frame = frame.ok_or(truncated("frame header", at))?;
        Ok(Self { jfif, ..frame })
    }

    /// Reads the body of a frame header (B.2.2), which begins at byte `at`.
    fn frame(kind: u8, body: &[u8], at: usize) -> Result<Self, SyntaxError> {
        let truncated = |element, byte: usize| SyntaxError::Truncated {
            element,
            bit: (at + byte) * 8,
        };
        let (&[precision, h1, h0, w1, w0, components], rest) = body
            .split_first_chunk::<6>()
            .ok_or(truncated("frame header", 0))?;
        let size = Size::new(
            u16::from_be_bytes([w1, w0]).into(),
            u16::from_be_bytes([h1, h0]).into(),
        );
        if !matches!(components, 1 | 3) {
            return Err(out_of_range(
                "components",
                (at + 5) * 8,
                components.into(),
                1,
                3,
            ));
        }
        // Sampling factors are ratios: what counts is luma's beside chroma's.
        let factors = |component: usize| {
            let byte = rest
                .get(component * 3 + 1)
                .ok_or(truncated("sampling factors", 6 + component * 3 + 1))?;
            Ok((byte >> 4, byte & 15))
        };
        let luma = factors(0)?;
        let subsampling = if components == 3 {
            let (cb, cr) = (factors(1)?, factors(2)?);
            (luma.0 > cb.0.min(cr.0), luma.1 > cb.1.min(cr.1))
        } else {
            (false, false)
        };
        Ok(Self {
            size,
            precision,
            components,
            subsampling,
            jfif: false,
            baseline: kind == 0xC0,
        })
    }
}
