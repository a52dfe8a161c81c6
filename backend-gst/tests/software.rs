//! Every installed software element, with ffmpeg as the judge.

mod support;

use scanout_core::encoder::{Chroma, PictureRequest};
use scanout_core::geometry::Size;
use support::*;

/// Encodes `count` frames one at a time, a keyframe asked for in the middle,
/// and compares what ffmpeg decodes with what went in.
fn round_trip(element: &str, size: Size, chroma: Chroma, count: u64) {
    let codec = codec_of(element);
    let mut stage_config = stage_config(element, size);
    stage_config.chroma = chroma;
    let mut stager = stager(&stage_config);
    let mut encoder = stager.encoder(&config(element)).unwrap();
    let told = encoder.stream().coded;
    let (mut packets, mut pictures) = (Vec::new(), Vec::new());
    for number in 0..count {
        let picture = stage(&mut *stager, frame(number, size));
        let request = if number == count / 2 {
            PictureRequest::keyframe()
        } else {
            PictureRequest::plain()
        };
        // Returns only when this picture's packet is out: no delay.
        let packet = encode(&mut *encoder, &picture, &request).unwrap();
        assert_eq!(packet.number, number, "{element}");
        let expected = number == 0 || number == count / 2 || codec.is_intra_only();
        assert_eq!(packet.keyframe, expected, "{element}: frame {number}");
        packets.push(packet);
        pictures.push(samples(&picture, told));
    }
    drain(&mut *encoder);
    eprintln!("{element} {size} {chroma}: {:?}", encoder.stream());

    let folder = Folder::new(&format!("{element}-{size}-{chroma}"));
    let path = folder.path(&format!("stream.{}", extension(codec)));
    write_stream(&path, codec, told, &packets);
    let decoded = ffmpeg_decode(&path, pix_fmt(codec, chroma));
    let bytes = pictures[0].len();
    assert_eq!(
        decoded.len(),
        bytes * count as usize,
        "{element}: frames of {told}"
    );
    for (number, (seen, sent)) in decoded.chunks_exact(bytes).zip(&pictures).enumerate() {
        let luma = (told.width * told.height) as usize;
        let db = [
            psnr(&seen[..luma], &sent[..luma]),
            psnr(&seen[luma..], &sent[luma..]),
        ];
        assert!(
            db[0] > 26.0 && db[1] > 26.0,
            "{element}: frame {number} at {db:.1?} dB"
        );
    }
}

macro_rules! every_element {
    ($($name:ident: $element:literal;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn an_odd_size_decodes_to_what_went_in_without_delay() {
                if installed().contains(&$element) {
                    round_trip($element, Size::new(1366, 767), Chroma::C420, 30);
                }
            }

            #[test]
            fn a_small_size_decodes_to_what_went_in_without_delay() {
                if installed().contains(&$element) {
                    round_trip($element, Size::new(64, 64), Chroma::C420, 140);
                    round_trip($element, Size::new(65, 33), Chroma::C420, 6);
                }
            }

            #[test]
            fn full_chroma_is_coded_as_such_or_refused() {
                let row = scanout_gst::elements::find($element).unwrap();
                if installed().contains(&$element) && row.chroma.contains(&Chroma::C444) {
                    round_trip($element, Size::new(321, 243), Chroma::C444, 6);
                }
            }
        }
    )*};
}

every_element! {
    x264: "x264enc";
    openh264: "openh264enc";
    x265: "x265enc";
    svtav1: "svtav1enc";
    av1: "av1enc";
    rav1: "rav1enc";
    vp8: "vp8enc";
    vp9: "vp9enc";
    jpeg: "jpegenc";
}
