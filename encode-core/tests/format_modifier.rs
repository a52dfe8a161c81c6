//! Modifiers print readably, read back, and know their planes and tiles.

use scanout_core::format::{self, AmdTiling, Fourcc, Modifier, Vendor};

fn planes(code: Fourcc, modifier: u64) -> Option<usize> {
    Modifier(modifier).plane_count(format::info(code).unwrap())
}

const INTEL: u64 = 1 << 56;

/// Intel's modifiers by number, with the planes of XR24 and NV12 (None: not defined).
/// The counts are those of the kernel's description of each in drm_fourcc.h.
const INTEL_TABLE: &[(u64, &str, Option<usize>, Option<usize>)] = &[
    (1, "INTEL_X_TILED", Some(1), Some(2)),
    (2, "INTEL_Y_TILED", Some(1), Some(2)),
    (3, "INTEL_YF_TILED", Some(1), Some(2)),
    (4, "INTEL_Y_TILED_CCS", Some(2), None),
    (5, "INTEL_YF_TILED_CCS", Some(2), None),
    (6, "INTEL_Y_TILED_GEN12_RC_CCS", Some(2), None),
    (7, "INTEL_Y_TILED_GEN12_MC_CCS", Some(2), Some(4)),
    (8, "INTEL_Y_TILED_GEN12_RC_CCS_CC", Some(3), None),
    (9, "INTEL_4_TILED", Some(1), Some(2)),
    (10, "INTEL_4_TILED_DG2_RC_CCS", Some(1), Some(2)),
    (11, "INTEL_4_TILED_DG2_MC_CCS", Some(1), Some(2)),
    (12, "INTEL_4_TILED_DG2_RC_CCS_CC", Some(2), None),
    (13, "INTEL_4_TILED_MTL_RC_CCS", Some(2), None),
    (14, "INTEL_4_TILED_MTL_MC_CCS", Some(2), Some(4)),
    (15, "INTEL_4_TILED_MTL_RC_CCS_CC", Some(3), None),
    (16, "INTEL_4_TILED_LNL_CCS", Some(1), Some(2)),
    (17, "INTEL_4_TILED_BMG_CCS", Some(1), Some(2)),
];

#[test]
fn intel_modifiers_have_their_names_and_planes() {
    for &(number, name, xr24, nv12) in INTEL_TABLE {
        let modifier = Modifier(INTEL | number);
        assert_eq!(modifier.vendor(), Vendor::Intel);
        assert_eq!(modifier.to_string(), name);
        assert_eq!(name.to_lowercase().parse::<Modifier>().unwrap(), modifier);
        assert_eq!(planes(Fourcc::XRGB8888, modifier.0), xr24, "{name} XR24");
        assert_eq!(planes(Fourcc::NV12, modifier.0), nv12, "{name} NV12");
        assert!(modifier.tile(4).is_some(), "{name}");
    }
}

#[test]
fn yf_tiles_depend_on_the_bytes_of_a_pixel() {
    for (bytes, width, rows) in [(1, 64, 64), (2, 128, 32), (4, 128, 32), (8, 256, 16)] {
        let tile = Modifier::INTEL_YF_TILED.tile(bytes).unwrap();
        assert_eq!((tile.width_bytes, tile.rows), (width, rows), "{bytes}");
    }
    assert!(Modifier::LINEAR.tile(4).is_none());
}

#[test]
fn linear_and_invalid_are_told_apart() {
    assert!(Modifier::LINEAR.is_linear());
    assert!(!Modifier::INVALID.is_linear());
    assert_eq!(Modifier::INVALID.0, 0x00ff_ffff_ffff_ffff);
    assert_eq!("linear".parse::<Modifier>().unwrap(), Modifier::LINEAR);
    assert_eq!(planes(Fourcc::YUV420, 0), Some(3));
    for bad in ["", "0x", "0x+1", "12", "0x10000000000000000", "INTEL", "-1"] {
        let error = bad.parse::<Modifier>().unwrap_err().to_string();
        assert!(error.contains(&format!("{bad:?}")), "{error}");
    }
}

#[test]
fn amd_fields_are_decoded() {
    // GFX10_RBPLUS, 64K_R_X, DCC, retiled, constant encode, 64B blocks, pipe xor 4, packers 4.
    let value = 3 | 27 << 8 | 1 << 13 | 1 << 14 | 1 << 16 | 1 << 20 | 4 << 21 | 4 << 27;
    let modifier = Modifier(2 << 56 | value);
    let amd: AmdTiling = modifier.amd().unwrap();
    assert_eq!((amd.tile_version, amd.tile), (3, 27));
    assert!(amd.dcc && amd.dcc_retile && !amd.dcc_pipe_align);
    assert_eq!((amd.pipe_xor_bits, amd.packers), (4, 4));
    assert_eq!(
        modifier.to_string(),
        "AMD(GFX10_RBPLUS,64K_R_X,DCC,DCC_RETILE,DCC_INDEPENDENT_64B,DCC_CONSTANT_ENCODE,DCC_MAX_BLOCK=64B,PIPE_XOR_BITS=4,PACKERS=4)"
    );
    assert_eq!(planes(Fourcc::XRGB8888, modifier.0), Some(3));
    assert_eq!(planes(Fourcc::NV12, modifier.0), None);
    let plain = Modifier(2 << 56 | 1 | 9 << 8);
    assert_eq!(plain.to_string(), "AMD(GFX9,64K_S)");
    assert_eq!(planes(Fourcc::NV12, plain.0), Some(2));
    // GFX12 compresses out of sight.
    assert_eq!(
        planes(Fourcc::XRGB8888, 2 << 56 | 5 | 3 << 8 | 1 << 13),
        Some(1)
    );
    assert!(Modifier(INTEL | 1).amd().is_none());
}

#[test]
fn nvidia_block_linear_fields_are_decoded() {
    let turing = Modifier(3 << 56 | 0x10 | 4 | 0x06 << 12 | 2 << 20 | 1 << 22);
    let block = turing.nvidia().unwrap();
    assert_eq!(
        (block.log2_gobs, block.page_kind, block.gob_kind),
        (4, 6, 2)
    );
    assert_eq!((block.sector_layout, block.compression), (1, 0));
    assert_eq!(
        turing.to_string(),
        "NVIDIA_BLOCK_LINEAR_2D(h=4,k=0x06,g=2,s=1,c=0)"
    );
    let tile = turing.tile(4).unwrap();
    assert_eq!((tile.width_bytes, tile.rows), (64, 128));
    // The deprecated 16BX2 names are the same with all other fields 0.
    let old = Modifier(drm_fourcc::DrmModifier::Nvidia_16bx2_block_sixteen_gob.into());
    assert_eq!(old.tile(4).unwrap().rows, 8 * 16);
    assert!(Modifier::NVIDIA_TEGRA_TILED.nvidia().is_none());
}

#[test]
fn arm_afbc_fields_are_decoded() {
    let afbc = Modifier(8 << 56 | 1 | 1 << 4 | 1 << 6);
    assert_eq!(afbc.to_string(), "ARM_AFBC(16x16,YTR,SPARSE)");
    assert_eq!(planes(Fourcc::XRGB8888, afbc.0), Some(1));
    assert!(Modifier::ARM_16X16_BLOCK_U_INTERLEAVED.afbc().is_none());
    assert_eq!(
        Modifier(8 << 56 | 2 << 52 | 5).to_string(),
        "ARM(0x20000000000005)"
    );
}

#[test]
fn other_vendors_print_with_their_number_and_every_number_reads_back() {
    assert_eq!(Modifier(10 << 56 | 0x101).to_string(), "AMLOGIC(0x101)");
    assert_eq!(Modifier(0xee << 56 | 0xab).to_string(), "VENDOR_238(0xab)");
    for value in [0, 1, INTEL | 99, u64::MAX, 2 << 56 | 0x1b03] {
        let hex = format!("{value:#018x}");
        assert_eq!(hex.parse::<Modifier>().unwrap(), Modifier(value));
        assert!(format!("{:?}", Modifier(value)).contains(&hex));
    }
}

#[test]
fn values_are_those_of_drm_fourcc() {
    use drm_fourcc::DrmModifier as Drm;
    for (ours, theirs) in [
        (Modifier::LINEAR, Drm::Linear),
        (Modifier::INVALID, Drm::Invalid),
        (Modifier::INTEL_X_TILED, Drm::I915_x_tiled),
        (Modifier::INTEL_Y_TILED, Drm::I915_y_tiled),
        (Modifier::INTEL_Y_TILED_CCS, Drm::I915_y_tiled_ccs),
        (
            Modifier::INTEL_Y_TILED_GEN12_RC_CCS,
            Drm::I915_y_tiled_gen12_rc_ccs,
        ),
        (
            Modifier::INTEL_Y_TILED_GEN12_MC_CCS,
            Drm::I915_y_tiled_gen12_mc_ccs,
        ),
        (Modifier::SAMSUNG_64_32_TILE, Drm::Samsung_64_32_tile),
        (Modifier::QCOM_COMPRESSED, Drm::Qcom_compressed),
        (
            Modifier::VIVANTE_SPLIT_SUPER_TILED,
            Drm::Vivante_split_super_tiled,
        ),
        (Modifier::BROADCOM_UIF, Drm::Broadcom_uif),
        (Modifier::ALLWINNER_TILED, Drm::Allwinner_tiled),
    ] {
        assert_eq!(ours.0, u64::from(theirs), "{ours}");
    }
}
