//! x264 writes, we read and write again; we write, ffmpeg and h264-reader read.
#![allow(missing_docs)]

mod codec_support;

use std::sync::OnceLock;

use codec_support::{Folder, decode_strictly, encode, has_tool, trace_headers};
use scanout_core::codec::annexb::{
    LengthSize, from_length_prefixed, nal_units, to_length_prefixed, write_nal,
};
use scanout_core::codec::avcc;
use scanout_core::codec::bits::{BitWriter, unescape_into};
use scanout_core::codec::h264::{
    ChromaFormat, NalHeader, NalType, ParameterSets, Pps, Profile, SliceContext, SliceHeader, Sps,
    SpsConfig, access_units, read_sei, sei_nal,
};
use scanout_core::color::{ChromaSite, ColorSpec, Matrix, Primaries, Range, Transfer};
use scanout_core::geometry::Size;

const X264: [&str; 2] = ["-c:v", "libx264"];

/// Sizes, formats and encoder settings that between them use most elements.
const STREAMS: &[(&str, &str, &[&str])] = &[
    (
        "baseline",
        "176x144",
        &["-pix_fmt", "yuv420p", "-profile:v", "baseline"],
    ),
    (
        "main",
        "322x182",
        &["-pix_fmt", "yuv420p", "-profile:v", "main", "-bf", "3"],
    ),
    (
        "high",
        "1366x768",
        &[
            "-pix_fmt",
            "yuv420p",
            "-x264-params",
            "bframes=3:b-pyramid=normal:weightp=2:ref=5",
        ],
    ),
    (
        "fades",
        "320x180",
        &[
            "-pix_fmt",
            "yuv420p",
            "-vf",
            "fade=in:0:20",
            "-x264-params",
            "weightp=2:ref=4:bframes=2:weightb=1",
        ],
    ),
    (
        "hrd",
        "320x180",
        &[
            "-pix_fmt",
            "yuv420p",
            "-x264-params",
            "nal-hrd=vbr:vbv-maxrate=900:vbv-bufsize=900:aud=1:sliced-threads=0:slices=4",
        ],
    ),
    (
        "cqm",
        "320x180",
        &[
            "-pix_fmt",
            "yuv420p",
            "-x264-params",
            "cqm=jvt:bframes=0:intra-refresh=1:keyint=10",
        ],
    ),
    ("high10", "322x182", &["-pix_fmt", "yuv420p10le"]),
    ("high422", "322x181", &["-pix_fmt", "yuv422p"]),
    (
        "high444",
        "321x181",
        &[
            "-pix_fmt",
            "yuv444p",
            "-x264-params",
            "cqm=jvt:colorprim=bt709:transfer=iec61966-2-1:colormatrix=bt709:range=pc",
        ],
    ),
    ("lossless", "64x64", &["-pix_fmt", "yuv444p", "-qp", "0"]),
    (
        "lowdelay",
        "320x180",
        &[
            "-pix_fmt",
            "yuv420p",
            "-tune",
            "zerolatency",
            "-x264-params",
            "sliced-threads=0:deblock=-1,1:cabac=0",
        ],
    ),
];

fn each_stream(mut check: impl FnMut(&str, &str, &[u8])) {
    // Encoded once for all tests of the process.
    static ENCODED: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    if !has_tool("ffmpeg") {
        return;
    }
    let encoded = ENCODED.get_or_init(|| {
        let folder = Folder::new("streams");
        let run = |(name, size, args): &(&str, &str, &[&str])| {
            let args = [&X264[..], args].concat();
            encode(&folder, &format!("{name}.h264"), size, 24, &args)
        };
        STREAMS.iter().map(run).collect()
    });
    for ((name, size, _), stream) in STREAMS.iter().zip(encoded) {
        check(name, size, stream);
    }
}

#[test]
fn headers_of_x264_are_written_back_bit_for_bit() {
    each_stream(|name, size, stream| {
        let mut sets = ParameterSets::default();
        let mut slices = 0;
        for nal in nal_units(stream) {
            sets.note(nal.bytes).unwrap();
            let (header, payload) = NalHeader::split(nal.bytes).unwrap();
            match header.unit_type {
                NalType::SPS => {
                    let sps = Sps::read_nal(nal.bytes).unwrap();
                    assert_eq!(sps.to_nal().unwrap(), nal.bytes, "{name}");
                    // x264 itself rounds 4:2:0 sizes down to even ones.
                    assert_eq!(sps.visible_size(), size.parse::<Size>().unwrap(), "{name}");
                }
                NalType::PPS => {
                    let pps = Pps::read_nal(nal.bytes, |id| sets.sps(id)).unwrap();
                    assert_eq!(
                        pps.to_nal(sets.sps(pps.sps_id).unwrap()).unwrap(),
                        nal.bytes,
                        "{name}"
                    );
                }
                NalType::SEI => {
                    let messages = read_sei(nal.bytes).unwrap();
                    assert_eq!(
                        sei_nal(&messages).unwrap(),
                        nal.bytes,
                        "{name} {messages:?}"
                    );
                }
                unit_type if unit_type.is_vcl() => {
                    let (sps, pps) = sets.of_slice(nal.bytes).unwrap();
                    let (slice, bits) = SliceHeader::read_nal(nal.bytes, sps, pps).unwrap();
                    let mut writer = BitWriter::new();
                    slice
                        .write(
                            &mut writer,
                            &SliceContext {
                                nal: header,
                                sps,
                                pps,
                            },
                        )
                        .unwrap();
                    assert_eq!(writer.position(), bits, "{name} {slice:?}");
                    let mut raw = Vec::new();
                    unescape_into(payload, &mut raw);
                    let (whole, rest) = (bits / 8, bits % 8);
                    assert_eq!(writer.bytes()[..whole], raw[..whole], "{name} {slice:?}");
                    if rest > 0 {
                        let mask = !(0xFFu8 >> rest);
                        assert_eq!(writer.bytes()[whole], raw[whole] & mask, "{name} {slice:?}");
                    }
                    slices += 1;
                }
                _ => {}
            }
        }
        assert!(slices >= 24, "{name}: {slices} slices");
    });
}

#[test]
fn access_units_are_as_many_as_frames_and_lose_no_byte() {
    each_stream(|name, _, stream| {
        let units: Vec<_> = access_units(stream).collect();
        assert_eq!(units.len(), 24, "{name}");
        assert!(units[0].keyframe, "{name}");
        let joined: Vec<u8> = units.iter().flat_map(|unit| unit.bytes).copied().collect();
        assert!(joined == stream, "{name}: bytes lost");
        let (mut lengths, mut back) = (Vec::new(), Vec::new());
        to_length_prefixed(stream, &mut lengths).unwrap();
        from_length_prefixed(&lengths, LengthSize::Four, &mut back).unwrap();
        assert!(
            nal_units(&back)
                .map(|n| n.bytes)
                .eq(nal_units(stream).map(|n| n.bytes)),
            "{name}"
        );
    });
}

#[test]
fn h264_reader_reads_the_same_from_x264_and_from_us() {
    each_stream(|name, _, stream| {
        let mut context = h264_reader::Context::new();
        let mut sets = ParameterSets::default();
        for nal in nal_units(stream) {
            sets.note(nal.bytes).unwrap();
            match nal.bytes[0] & 31 {
                7 => {
                    let ours = Sps::read_nal(nal.bytes).unwrap();
                    compare_sps(name, &ours, &theirs(&ours));
                    context.put_seq_param_set(theirs(&ours));
                }
                8 => {
                    let ours = Pps::read_nal(nal.bytes, |id| sets.sps(id)).unwrap();
                    let rbsp = ours.to_rbsp(sets.sps(0).unwrap()).unwrap();
                    let reader = h264_reader::rbsp::BitReader::new(&rbsp[..]);
                    let theirs =
                        h264_reader::nal::pps::PicParameterSet::from_bits(&context, reader)
                            .unwrap();
                    assert_eq!(theirs.entropy_coding_mode_flag, ours.cabac, "{name}");
                    assert_eq!(theirs.weighted_pred_flag, ours.weighted_pred, "{name}");
                    assert_eq!(
                        theirs.pic_init_qp_minus26, ours.pic_init_qp_minus26,
                        "{name}"
                    );
                    assert_eq!(
                        theirs.chroma_qp_index_offset, ours.chroma_qp_index_offset,
                        "{name}"
                    );
                    assert_eq!(
                        theirs
                            .extension
                            .map(|e| (e.transform_8x8_mode_flag, e.second_chroma_qp_index_offset)),
                        ours.high
                            .map(|h| (h.transform_8x8, h.second_chroma_qp_index_offset)),
                        "{name}"
                    );
                }
                _ => {}
            }
        }
    });
}

fn theirs(ours: &Sps) -> h264_reader::nal::sps::SeqParameterSet {
    let rbsp = ours.to_rbsp().unwrap();
    h264_reader::nal::sps::SeqParameterSet::from_bits(h264_reader::rbsp::BitReader::new(&rbsp[..]))
        .unwrap()
}

fn compare_sps(name: &str, ours: &Sps, theirs: &h264_reader::nal::sps::SeqParameterSet) {
    let visible = ours.visible_size();
    assert_eq!(
        theirs.pixel_dimensions().unwrap(),
        (visible.width, visible.height),
        "{name}"
    );
    assert_eq!(theirs.level_idc, ours.level_idc, "{name}");
    assert_eq!(
        theirs.max_num_ref_frames,
        u32::from(ours.max_num_ref_frames),
        "{name}"
    );
    assert_eq!(
        theirs.rfc6381().to_string().to_lowercase(),
        ours.codec_string(),
        "{name}"
    );
    let vui = theirs.vui_parameters.as_ref();
    let color = vui
        .and_then(|vui| vui.video_signal_type.as_ref())
        .and_then(|signal| {
            Some((
                signal.colour_description.as_ref()?,
                signal.video_full_range_flag,
            ))
        })
        .map(|(c, full)| {
            (
                c.colour_primaries,
                c.transfer_characteristics,
                c.matrix_coefficients,
                full,
            )
        });
    assert_eq!(
        color,
        ours.color()
            .map(|(c, full)| (c.primaries, c.transfer, c.matrix, full)),
        "{name}"
    );
    let reorder = vui
        .and_then(|vui| vui.bitstream_restrictions.as_ref())
        .map(|limits| {
            (
                limits.max_num_reorder_frames,
                limits.max_dec_frame_buffering,
            )
        });
    let expected = ours.reorder().map(|limits| {
        (
            limits.max_num_reorder_frames.into(),
            limits.max_dec_frame_buffering.into(),
        )
    });
    assert_eq!(reorder, expected, "{name}");
}

/// A parameter set of ours in front of x264's slices: the same pictures come out, and ffmpeg
/// reads the colours, cropping and limits asked for.
#[test]
fn our_sps_decodes_x264_slices_and_says_what_was_asked() {
    if !has_tool("ffmpeg") {
        return;
    }
    let folder = Folder::new("our-sps");
    let bt601 = ColorSpec {
        primaries: Primaries::Bt601,
        transfer: Transfer::Bt601,
        matrix: Matrix::Bt601,
        range: Range::Full,
        chroma_site: ChromaSite::Center,
    };
    let cases = [
        (
            Profile::Main,
            "322x182",
            ChromaFormat::Yuv420,
            8,
            "yuv420p",
            "main",
            ColorSpec::DESKTOP,
        ),
        (
            Profile::High,
            "1366x768",
            ChromaFormat::Yuv420,
            8,
            "yuv420p",
            "high",
            bt601,
        ),
        (
            Profile::High10,
            "322x182",
            ChromaFormat::Yuv420,
            10,
            "yuv420p10le",
            "high10",
            ColorSpec::DESKTOP,
        ),
        (
            Profile::High422,
            "322x181",
            ChromaFormat::Yuv422,
            8,
            "yuv422p",
            "high422",
            bt601,
        ),
        (
            Profile::High444Predictive,
            "321x181",
            ChromaFormat::Yuv444,
            8,
            "yuv444p",
            "high444",
            ColorSpec::DESKTOP,
        ),
    ];
    for (profile, size, chroma, depth, pixels, name, color) in cases {
        let args = [
            "-c:v",
            "libx264",
            "-pix_fmt",
            pixels,
            "-profile:v",
            name,
            "-x264-params",
            "bframes=0:ref=2:keyint=8:qp=20",
        ];
        let stream = encode(&folder, "in.h264", size, 16, &args);
        let mut mine = Vec::new();
        let mut expected = None;
        for nal in nal_units(&stream) {
            if nal.bytes[0] & 31 != 7 {
                write_nal(nal.bytes, &mut mine);
                continue;
            }
            let x264 = Sps::read_nal(nal.bytes).unwrap();
            let mut config = SpsConfig::new(profile, size.parse().unwrap());
            config.chroma = chroma;
            config.bit_depth = depth;
            config.color = color;
            config.rate = Some((30, 1));
            config.bitrate_ceiling_bps = Some(8_000_000);
            config.max_refs = x264.max_num_ref_frames;
            config.log2_max_frame_num = x264.log2_max_frame_num_minus4 + 4;
            let sps = Sps::new(&config).unwrap();
            assert_eq!(sps.visible_size(), x264.visible_size(), "{name}");
            assert_eq!(sps.visible_size(), config.size, "{name}");
            compare_sps(name, &sps, &theirs(&sps));
            write_nal(&sps.to_nal().unwrap(), &mut mine);
            expected = Some(sps);
        }
        let sps = expected.unwrap();
        assert_eq!(
            decode_strictly(&folder, &mine),
            decode_strictly(&folder, &stream),
            "{name}"
        );
        let trace = trace_headers(&folder, &mine);
        let crop = sps.crop.unwrap_or_default();
        for (element, value) in [
            ("colour_primaries", color.primaries.code()),
            ("transfer_characteristics", color.transfer.code()),
            ("matrix_coefficients", color.matrix.code()),
            (
                "video_full_range_flag",
                u8::from(color.range == Range::Full),
            ),
            ("max_num_reorder_frames", 0),
            ("max_dec_frame_buffering", sps.max_num_ref_frames),
            ("pic_order_cnt_type", 2),
            ("level_idc", sps.level_idc),
            ("frame_crop_right_offset", crop.right as u8),
            ("frame_crop_bottom_offset", crop.bottom as u8),
            ("time_scale", 60),
        ] {
            assert_eq!(
                trace.get(element),
                Some(&i64::from(value)),
                "{name}: {element}"
            );
        }
        if chroma == ChromaFormat::Yuv420 {
            let site = i64::from(color.chroma_site.code());
            assert_eq!(
                trace.get("chroma_sample_loc_type_top_field"),
                Some(&site),
                "{name}"
            );
        }
    }
}

#[test]
fn the_avc_configuration_record_is_ffmpegs() {
    if !has_tool("ffmpeg") {
        return;
    }
    let folder = Folder::new("avcc");
    let stream = encode(
        &folder,
        "in.h264",
        "322x182",
        2,
        &["-c:v", "libx264", "-pix_fmt", "yuv420p"],
    );
    let (input, mp4) = (folder.path("in.h264"), folder.path("out.mp4"));
    codec_support::ffmpeg(&["-v", "error", "-i", &input, "-c", "copy", &mp4]);
    let of_type = |wanted: u8| {
        nal_units(&stream)
            .map(|n| n.bytes)
            .find(|n| n[0] & 31 == wanted)
            .unwrap()
    };
    let record = avcc::avc_decoder_configuration(&[of_type(7)], &[of_type(8)]).unwrap();
    let file = std::fs::read(&mp4).unwrap();
    let at = file.windows(4).position(|w| w == b"avcC").unwrap();
    assert_eq!(&file[at + 4..at + 4 + record.len()], record);
    let length = u32::from_be_bytes(file[at - 4..at].try_into().unwrap()) as usize;
    assert_eq!(length, record.len() + 8);
}
