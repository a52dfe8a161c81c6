//! One picture of a still source, as spicy-screenshot shows it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::client::{Shot, have_clients, screenshot};
use crate::picture::{Picture, mistakes, psnr};
use crate::server::Served;
use crate::support::{directory, have_encoder};

/// Below this a shown picture is another one: each mistake is, and no codec is, at
/// the rate that is asked for here.
const BOUND_DB: f64 = 34.0;

const CODECS: [&str; 5] = ["h264", "h265", "vp8", "vp9", "mjpeg"];

fn chart(width: usize, height: usize) -> (Picture, PathBuf) {
    let picture = Picture::chart(width, height);
    let file = directory("chart").join("chart.png");
    picture.write_png(&file);
    (picture, file)
}

/// Serves the still in `file`; at a rate at which what a codec loses is not the rate's.
fn serve(file: &Path, args: &[&str]) -> Served {
    let still = ["--source", file.to_str().unwrap(), "--bitrate", "40M"];
    Served::start([&still, args].concat())
}

/// That the client shows `sent`, and would have failed had anything been wrong with it.
#[track_caller]
fn assert_shows(shot: Shot, sent: &Picture, what: &str) {
    let Shot { ran, picture } = shot;
    let Some(shown) = picture else {
        panic!("{what}: no picture: {ran:?}");
    };
    assert_eq!(
        (shown.width, shown.height),
        (sent.width, sent.height),
        "{what}"
    );
    let seen = psnr(&shown, sent);
    println!("{what}: {seen:.1} dB");
    if seen < BOUND_DB {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("last-shot.png");
        shown.write_png(&file);
        panic!(
            "{what}: {seen:.1} dB of {BOUND_DB}; it is in {}",
            file.display()
        );
    }
    for (mistake, wrong) in mistakes(sent) {
        let seen = psnr(&shown, &wrong);
        assert!(
            seen < BOUND_DB - 2.0,
            "{what}: {mistake} would pass: {seen:.1} dB"
        );
    }
}

fn plain(server: &Served) -> Shot {
    screenshot(&server.uri(0), |_| {})
}

#[test]
fn every_codec_shows_the_source_in_any_size() {
    if !have_clients(&["spicy-screenshot"]) {
        return;
    }
    // Odd sizes: what codes pairs of rows and columns must not stretch them.
    for (width, height) in [(640, 360), (641, 361), (127, 63)] {
        let (picture, file) = chart(width, height);
        for codec in CODECS {
            if !have_encoder(codec) {
                continue;
            }
            let server = serve(&file, &["--codec", codec]);
            let what = format!("{codec} {width}x{height}");
            assert_shows(plain(&server), &picture, &what);
            let (ran, ended) = server.stop("TERM");
            assert_eq!(ran.code, Some(0), "{ran:?}");
            assert_eq!(
                (&ended["event"], &ended["failures"]),
                (&"stopped".into(), &0.into())
            );
        }
    }
}

#[test]
fn colour_at_full_resolution_is_shown_so() {
    if !have_clients(&["spicy-screenshot"]) {
        return;
    }
    // One-pixel stripes of colour, which a quarter of the samples cannot hold.
    let stripes = {
        let mut picture = Picture::chart(322, 240);
        for (n, pixel) in picture.rgb.chunks_exact_mut(3).enumerate() {
            let (x, y) = (n % 322, n / 322);
            if (40..200).contains(&y) && (60..260).contains(&x) {
                pixel.copy_from_slice(if x % 2 == 0 {
                    &[220, 40, 40]
                } else {
                    &[40, 60, 200]
                });
            }
        }
        picture
    };
    let file = directory("stripes").join("stripes.png");
    stripes.write_png(&file);
    for (codec, full) in [("h264", true), ("h264", false), ("vp9", true)] {
        if !have_encoder(codec) {
            continue;
        }
        let chroma = if full { "444" } else { "420" };
        let server = serve(&file, &["--codec", codec, "--chroma", chroma]);
        assert_eq!(server.listening["offers"][0]["chroma"], chroma);
        let shown = plain(&server).picture.unwrap();
        let seen = psnr(&shown, &stripes);
        println!("{codec} {chroma}: {seen:.1} dB");
        assert_eq!(seen > 30.0, full, "{codec} {chroma}: {seen:.1} dB");
    }
}

#[test]
fn an_odd_size_is_shown_as_it_is_at_full_resolution_of_colour() {
    if !have_clients(&["spicy-screenshot"]) || !have_encoder("h264") {
        return;
    }
    let (picture, file) = chart(333, 251);
    let server = serve(&file, &["--codec", "h264", "--chroma", "444"]);
    assert_shows(plain(&server), &picture, "h264 4:4:4");
}

#[test]
fn a_buffer_that_lies_upside_down_is_shown_upright() {
    if !have_clients(&["spicy-screenshot"]) || !have_encoder("h264") {
        return;
    }
    let (picture, file) = chart(640, 360);
    for memory in ["memfd", "memory"] {
        let args = [
            "--codec",
            "h264",
            "--orientation",
            "bottom-up",
            "--memory",
            memory,
        ];
        let server = serve(&file, &args);
        assert_shows(plain(&server), &picture, memory);
    }
}

#[test]
fn without_a_word_about_codecs_a_client_gets_one_that_it_shows() {
    if !have_clients(&["spicy-screenshot"]) {
        return;
    }
    let (picture, file) = chart(640, 360);
    let server = serve(&file, &[]);
    assert_shows(plain(&server), &picture, "default codecs");
}

#[test]
fn the_same_server_shows_its_picture_to_one_client_after_the_other() {
    if !have_clients(&["spicy-screenshot"]) || !have_encoder("h264") {
        return;
    }
    let (picture, file) = chart(640, 360);
    let server = serve(&file, &["--codec", "h264"]);
    for client in 0..4 {
        assert_shows(plain(&server), &picture, &format!("client {client}"));
    }
}

#[test]
fn a_wrong_password_shows_nothing_and_the_right_one_everything() {
    if !have_clients(&["spicy-screenshot"]) {
        return;
    }
    let (picture, file) = chart(640, 360);
    let folder = directory("password");
    let password = folder.join("password");
    fs::write(&password, "correct horse\n").unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    let socket = folder.join("s");
    let server = Served::start_with([
        "--source",
        file.to_str().unwrap(),
        "--bitrate",
        "40M",
        "--listen",
        "127.0.0.1:0",
        "--listen",
        &format!("unix:{}", socket.display()),
        "--password-file",
        password.to_str().unwrap(),
    ]);
    for uri in [server.uri(0), server.uri(1)] {
        for wrong in ["wrong", "correct hors", "correct horsee", ""] {
            let shot = screenshot(&uri, |c| {
                c.args(["-w", wrong]);
            });
            assert!(shot.picture.is_none(), "{uri} {wrong:?}");
            assert_ne!(shot.ran.code, Some(0), "{uri} {wrong:?}");
        }
        let shot = screenshot(&uri, |c| {
            c.args(["-w", "correct horse"]);
        });
        assert_shows(shot, &picture, &uri);
    }
    // The file is read for each client.
    fs::write(&password, "another").unwrap();
    let old = screenshot(&server.uri(0), |c| {
        c.args(["-w", "correct horse"]);
    });
    assert!(old.picture.is_none());
    let new = screenshot(&server.uri(0), |c| {
        c.args(["-w", "another"]);
    });
    assert_shows(new, &picture, "the new password");
    let (_, ended) = server.stop("TERM");
    assert_eq!(ended["links_refused"], 9, "{ended}");
}

#[test]
fn tls_is_for_clients_that_trust_the_certificate() {
    if !have_clients(&["spicy-screenshot"]) {
        return;
    }
    let (picture, file) = chart(640, 360);
    let folder = directory("tls");
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let server = Served::start_with([
        "--source",
        file.to_str().unwrap(),
        "--bitrate",
        "40M",
        "--no-password",
        "--tls-listen",
        "127.0.0.1:0",
        "--tls-cert",
        certificate.to_str().unwrap(),
        "--tls-key",
        key.to_str().unwrap(),
    ]);
    let trusting = screenshot(&server.uri(0), |c| {
        c.env("SSL_CERT_FILE", &certificate);
    });
    assert_shows(trusting, &picture, "TLS");
    let other = plain(&server);
    assert!(other.picture.is_none(), "{:?}", other.ran);
    // Plain text is no way in at a port for TLS.
    let uri = server.uri(0).replace("?tls-port=", ":");
    let shot = screenshot(&uri, |_| {});
    assert!(shot.picture.is_none(), "{:?}", shot.ran);
}
