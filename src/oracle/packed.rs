//! How times are kept in few bytes.

/// A latency fits 32 bits: from 10 minutes before the intended time to about an hour after it.
const LATENCY_BIAS_US: i64 = 600_000_000;
/// The append lag fits 16 bits: from 1 s before the intended time to 64 s after it.
const LAG_BIAS_MS: i64 = 1_000;
const LAG_NONE: u16 = u16::MAX;

/// A sample that no output covers.
pub(super) const UNCOVERED: u32 = 0;

/// A latency, clamped to what fits; never [`UNCOVERED`].
#[inline]
pub(super) fn pack_latency(latency_us: i64) -> u32 {
    latency_us.saturating_add(LATENCY_BIAS_US).clamp(1, i64::from(u32::MAX)) as u32
}

/// The latency, µs; `None` for [`UNCOVERED`].
#[inline]
pub(super) fn unpack_latency(packed: u32) -> Option<i64> {
    (packed != UNCOVERED).then(|| i64::from(packed) - LATENCY_BIAS_US)
}

/// The time from the intended to the append time stamp; nothing where there is none, or it does not fit.
#[inline]
pub(super) fn pack_lag(scheduled_us: i64, append_ms: Option<i64>) -> u16 {
    append_ms
        .map(|ms| ms - scheduled_us.div_euclid(1000) + LAG_BIAS_MS)
        .and_then(|lag| u16::try_from(lag).ok())
        .unwrap_or(LAG_NONE)
}

/// The append time stamp, ms since the Unix epoch.
#[inline]
pub(super) fn unpack_lag(scheduled_us: i64, packed: u16) -> Option<i64> {
    (packed != LAG_NONE).then(|| i64::from(packed) - LAG_BIAS_MS + scheduled_us.div_euclid(1000))
}
