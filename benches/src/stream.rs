//! What a coded stream says of itself: the proof that rows did equal work.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use scanout_core::codec::annexb::nal_units;
use scanout_core::codec::h264::{self, NalHeader, NalType, SeiMessage};
use serde::Serialize;

use crate::Error;
use crate::workload::Workload;

/// Settings by their names in x264's own words.
pub type Options = BTreeMap<String, String>;

/// Access units of an H.264 byte stream.
pub fn access_units(stream: &[u8]) -> usize {
    h264::access_units(stream)
        .filter(|unit| unit.slices > 0)
        .count()
}

/// True where access units begin with a delimiter.
pub fn has_delimiters(stream: &[u8]) -> bool {
    nal_units(stream).any(|nal| {
        NalHeader::split(nal.bytes).is_ok_and(|(header, _)| header.unit_type == NalType::AUD)
    })
}

/// The settings that x264 writes into its first SEI message.
pub fn x264_options(stream: &[u8]) -> Option<Options> {
    for nal in nal_units(stream) {
        for message in h264::read_sei(nal.bytes).unwrap_or_default() {
            if let SeiMessage::UserData { data, .. } = message
                && let Some((_, options)) = String::from_utf8_lossy(&data).split_once("options: ")
            {
                let pairs = options.trim_end_matches('\0').split_whitespace();
                return Some(
                    pairs
                        .filter_map(|pair| pair.split_once('='))
                        .map(|(name, value)| (name.to_owned(), value.to_owned()))
                        .collect(),
                );
            }
        }
    }
    None
}

/// Settings in which `other` differs from `ours`, as `name: ours/theirs`.
pub fn differences(ours: &Options, other: &Options) -> Vec<String> {
    let names = ours
        .keys()
        .chain(other.keys().filter(|n| !ours.contains_key(*n)));
    let value =
        |options: &Options, name: &str| options.get(name).cloned().unwrap_or("-".to_owned());
    names
        .filter(|name| ours.get(*name) != other.get(*name))
        .map(|name| format!("{name}: {}/{}", value(ours, name), value(other, name)))
        .collect()
}

/// The coded slices of a stream: equal where two encoders made the same
/// decisions on the same pictures, whatever they say in headers and SEI.
pub fn slices(stream: &[u8]) -> Vec<&[u8]> {
    nal_units(stream)
        .map(|nal| nal.bytes)
        .filter(|bytes| NalHeader::split(bytes).is_ok_and(|(h, _)| h.unit_type.is_vcl()))
        .collect()
}

/// What a stream is worth.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Quality {
    /// Access units.
    pub access_units: usize,
    /// Mean bits per second at the workload's rate.
    pub bitrate_bps: f64,
    /// Luma PSNR against the workload, over all frames, as ffmpeg decodes it.
    pub psnr_y_db: Option<f64>,
}

/// Judges the stream in `path` against the I420 file of the workload. The PSNR
/// is only there where there is one picture for each frame.
pub fn judge(workload: &Workload, i420: &Path, path: &Path) -> Result<Quality, Error> {
    let stream = std::fs::read(path)?;
    let access_units = access_units(&stream);
    let seconds = workload.frames.len() as f64 / f64::from(workload.fps);
    let psnr_y_db = if access_units == workload.frames.len() {
        psnr(workload, i420, path)?
    } else {
        None
    };
    Ok(Quality {
        access_units,
        bitrate_bps: stream.len() as f64 * 8.0 / seconds,
        psnr_y_db,
    })
}

fn psnr(workload: &Workload, i420: &Path, path: &Path) -> Result<Option<f64>, Error> {
    let rate = workload.fps.to_string();
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "info", "-r", &rate, "-i"])
        .arg(path)
        .args(["-f", "rawvideo", "-pix_fmt", "yuv420p", "-r", &rate, "-s"])
        .arg(workload.size.to_string())
        .arg("-i")
        .arg(i420)
        .args(["-lavfi", "[0:v][1:v]psnr", "-f", "null", "-"])
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("ffmpeg psnr: {}", text.trim()).into());
    }
    let value = text
        .lines()
        .filter(|line| line.contains("PSNR y:"))
        .filter_map(|line| line.split_once("PSNR y:"))
        .filter_map(|(_, rest)| rest.split_whitespace().next()?.parse().ok())
        .next_back();
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> Options {
        let pairs = text.split(' ').filter_map(|pair| pair.split_once('='));
        pairs.map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
    }

    #[test]
    fn every_setting_that_differs_or_is_missing_is_named() {
        let ours = options("cabac=0 ref=1 bitrate=8000");
        let theirs = options("cabac=0 ref=3 aq=1");
        assert_eq!(
            differences(&ours, &theirs),
            ["bitrate: 8000/-", "ref: 1/3", "aq: -/1"]
        );
        assert!(differences(&ours, &ours).is_empty());
    }

    #[test]
    fn options_are_read_out_of_the_sei() {
        let message = SeiMessage::UserData {
            uuid: [7; 16],
            data: b"x264 - core 164 - options: cabac=0 ref=1\0".to_vec(),
        };
        let mut stream = vec![0, 0, 0, 1];
        stream.extend(h264::sei_nal(&[message]).unwrap());
        assert_eq!(x264_options(&stream), Some(options("cabac=0 ref=1")));
        assert_eq!(x264_options(b"no stream"), None);
    }
}
