//! Decoded pictures against the frames that they code, one after the other.

use std::hash::{DefaultHasher, Hasher};
use std::time::Duration;

use scanout_core::encoder::StreamInfo;
use scanout_trace::desktop::Desktop;

use super::decode::DecodedShape;
use super::quality::{Judge, Quality};
use super::sheet::Sheet;
use crate::failure::{Exit, Failure};

/// Into each part of the session, for the contact sheet: late enough for the
/// part to be in full swing.
const INTO_SEGMENT: Duration = Duration::from_millis(400);

/// The comparison of one stream.
pub(super) struct Comparison<'a> {
    stream: &'a StreamInfo,
    /// Numbers of the frames that were coded.
    coded: &'a [u64],
    shape: DecodedShape,
    judge: Judge,
    sheet: Sheet,
    digests: Vec<u64>,
    segment: &'static str,
    segment_began: Duration,
    segment_shown: bool,
}

/// Equal for equal pictures, and hardly ever for others.
pub(super) fn digest(picture: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(picture);
    hasher.finish()
}

impl<'a> Comparison<'a> {
    /// Of `stream`, which codes frames `coded` of `desktop`.
    pub(super) fn new(
        desktop: Desktop,
        stream: &'a StreamInfo,
        coded: &'a [u64],
    ) -> Result<Self, Failure> {
        Ok(Self {
            stream,
            coded,
            shape: DecodedShape::of(stream),
            judge: Judge::new(desktop, stream)?,
            sheet: Sheet::new(stream.visible),
            digests: Vec::with_capacity(coded.len()),
            segment: "",
            segment_began: Duration::ZERO,
            segment_shown: false,
        })
    }

    /// The next decoded picture.
    pub(super) fn picture(&mut self, picture: &[u8]) -> Result<(), Failure> {
        let done = self.digests.len();
        let Some(&number) = self.coded.get(done) else {
            return Err(self.count_failure(done + 1));
        };
        if picture.len() != self.shape.bytes() {
            return Err(Failure::new(
                Exit::Verification,
                format_args!(
                    "a decoded picture has {} bytes, one of {} has {}",
                    picture.len(),
                    self.shape.size,
                    self.shape.bytes()
                ),
            ));
        }
        self.digests.push(digest(picture));
        let mut now = Duration::ZERO;
        self.judge.advance(number, |step| {
            now = step.time;
            if step.segment != self.segment {
                self.segment = step.segment;
                self.segment_began = step.time;
                self.segment_shown = false;
            }
        });
        let seen = self.judge.compare(number, picture)?;
        // A session too short for any part to be in full swing still has an end.
        let at_end = self.sheet.is_empty() && done + 1 == self.coded.len();
        if at_end || (!self.segment_shown && now >= self.segment_began + INTO_SEGMENT) {
            self.segment_shown = true;
            let what = format!(
                "{}, frame {number}, {:.2} s",
                self.segment,
                now.as_secs_f64()
            );
            self.sheet.add(
                self.judge.desktop(),
                self.shape.planes(picture),
                self.stream.chroma,
                self.stream.color,
                &what,
                seen,
            );
        }
        Ok(())
    }

    /// That another decoder gave the same pictures.
    #[cfg(feature = "gst")]
    pub(super) fn same(&self, digests: &[u64]) -> Result<(), Failure> {
        let pairs = self.digests.iter().zip(digests).zip(self.coded);
        for ((first, second), number) in pairs {
            if first != second {
                return Err(Failure::new(
                    Exit::Verification,
                    format_args!("two decoders differ on frame {number}"),
                ));
            }
        }
        if digests.len() == self.digests.len() {
            Ok(())
        } else {
            Err(self.count_failure(digests.len()))
        }
    }

    /// The figures, and the contact sheet as a PNG file.
    pub(super) fn finish(self) -> Result<(Quality, Vec<u8>), Failure> {
        if self.digests.len() < self.coded.len() {
            return Err(self.count_failure(self.digests.len()));
        }
        Ok((self.judge.quality().clone(), self.sheet.png()?))
    }

    fn count_failure(&self, decoded: usize) -> Failure {
        Failure::new(
            Exit::Verification,
            format_args!(
                "{} frames were coded, {decoded} came out of the decoder",
                self.coded.len()
            ),
        )
    }
}
