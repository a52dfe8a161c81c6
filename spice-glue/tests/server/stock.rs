//! Stock clients, with a picture that a double sends.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use scanout_core::geometry::Size;
use scanout_spice::gl::{Outgoing, Payload, VideoCodec};
use scanout_spice::server::{Listen, Refusal, Screen, TlsFiles};

use super::rig::{PASSWORD, Rig};

/// 64x48: the upper half is red, the lower half is blue.
const RED_OVER_BLUE: &[u8] = include_bytes!("red-over-blue.jpg");
const SIZE: Size = Size::new(64, 48);

/// Takes a screenshot, and sends the picture to its display, which joins as the `n`th.
fn shot(rig: &Rig, n: usize, arguments: &[String]) -> Option<(Output, PathBuf)> {
    std::thread::scope(|scope| {
        let client = scope.spawn(|| screenshot(&rig.folder.0, arguments));
        while !client.is_finished() {
            if rig.screen.joined() == n {
                show(rig, n - 1);
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        client.join().unwrap()
    })
}

fn show(rig: &Rig, n: usize) {
    let picture = |mm_time| Outgoing::StreamData {
        stream: 0,
        mm_time,
        payload: Payload {
            head: &[],
            body: RED_OVER_BLUE.to_vec().into(),
            skip: 0,
            tail: &[],
        },
    };
    // Late pictures of this codec are dropped: a little early, twice.
    let now = rig.screen.clock().mm_time(Instant::now());
    rig.screen.send(
        n,
        vec![
            Outgoing::SurfaceCreate {
                surface: 0,
                size: SIZE,
            },
            Outgoing::Mark,
            Outgoing::StreamCreate {
                stream: 0,
                surface: 0,
                codec: VideoCodec::Mjpeg,
                coded: SIZE,
                visible: SIZE,
            },
            picture(now + 100),
            picture(now + 300),
        ],
    );
}

/// Where there is no such client: a skip. It has 30 s.
fn screenshot(folder: &Path, arguments: &[String]) -> Option<(Output, PathBuf)> {
    if Command::new("spicy-screenshot")
        .arg("--version")
        .output()
        .is_err()
    {
        println!("skip: no spicy-screenshot here");
        return None;
    }
    let file = folder.join("shot.ppm");
    let output = Command::new("timeout")
        .args(["30", "spicy-screenshot", "-o"])
        .arg(&file)
        .args(arguments)
        .env("HOME", folder)
        // This client has no option for whom it trusts.
        .env("SSL_CERT_FILE", folder.join("cert.pem"))
        .output()
        .unwrap();
    Some((output, file))
}

/// Where the picture's two colours should be.
fn is_red_over_blue(ppm: &Path) {
    let bytes = std::fs::read(ppm).unwrap();
    let header = b"P6\n64 48\n255\n";
    assert_eq!(bytes[..header.len()], *header);
    let pixel = |x: usize, y: usize| {
        let at = header.len() + (y * 64 + x) * 3;
        <[u8; 3]>::try_from(&bytes[at..at + 3]).unwrap()
    };
    for (x, y) in [(0, 0), (32, 8), (63, 20)] {
        let [r, g, b] = pixel(x, y);
        assert!(r > 240 && g < 15 && b < 15, "{:?}", pixel(x, y));
        let [r, g, b] = pixel(x, 47 - y);
        assert!(r < 15 && g < 15 && b > 240, "{:?}", pixel(x, 47 - y));
    }
}

#[test]
fn a_stock_client_links_and_shows_the_picture() {
    let rig = Rig::new();
    let arguments = [
        "-h",
        "127.0.0.1",
        "-p",
        &rig.addr.port().to_string(),
        "-w",
        PASSWORD,
    ]
    .map(str::to_owned);
    let Some((output, file)) = shot(&rig, 1, &arguments) else {
        return;
    };
    assert!(output.status.success(), "{output:?}");
    is_red_over_blue(&file);
    assert_eq!(rig.stats().refused.total(), 0);
}

#[test]
fn a_stock_client_is_refused_with_a_wrong_password() {
    let rig = Rig::new();
    let arguments = [
        "-h",
        "127.0.0.1",
        "-p",
        &rig.addr.port().to_string(),
        "-w",
        "wrong",
    ]
    .map(str::to_owned);
    let Some((_, file)) = screenshot(&rig.folder.0, &arguments) else {
        return;
    };
    assert!(!file.exists());
    assert!(rig.stats().refused.of(Refusal::Ticket) > 0);
    assert_eq!(rig.stats().channels_linked, 0);
}

#[test]
fn a_stock_client_links_over_tls_and_a_unix_socket() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let rig = Rig::with(|config, folder| {
        let files = TlsFiles {
            certificate: folder.0.join("cert.pem"),
            key: folder.0.join("key.pem"),
        };
        std::fs::write(&files.certificate, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        config.tls = Some(files);
        let loopback = "127.0.0.1:0".parse().unwrap();
        config.listen = vec![Listen::Tls(loopback), Listen::Unix(folder.0.join("socket"))];
    });
    let port = rig
        .server
        .handle()
        .addresses()
        .iter()
        .find_map(|l| match l {
            Listen::Tls(addr) => Some(addr.port()),
            _ => None,
        });
    let socket = rig.folder.0.join("socket").display().to_string();
    let tls = format!("spice://localhost?tls-port={}", port.unwrap());
    let unix = format!("spice+unix://{socket}");
    for (n, uri) in [tls, unix].into_iter().enumerate() {
        let arguments = [
            "--uri".to_owned(),
            uri,
            "-w".to_owned(),
            PASSWORD.to_owned(),
        ];
        let Some((output, file)) = shot(&rig, n + 1, &arguments) else {
            return;
        };
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        is_red_over_blue(&file);
        std::fs::remove_file(&file).unwrap();
    }
}
