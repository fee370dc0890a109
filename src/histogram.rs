//! Latency histograms (HDR, µs, 3 digits, 1 µs to 1 h) and the `.hlog` interval log.

use std::borrow::Borrow;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use hdrhistogram::serialization::interval_log::IntervalLogWriterBuilder;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};

use crate::error::{Error, Result};

/// The greatest value that is told apart, µs: one hour. Greater ones count as this one.
pub const MAX_US: u64 = 3_600_000_000;

/// A histogram of durations in µs with 3 significant digits, and the exact least and greatest value.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: hdrhistogram::Histogram<u64>,
    min_us: u64,
    max_us: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Histogram {
    fn eq(&self, other: &Self) -> bool {
        self.counts == other.counts
    }
}

impl Histogram {
    /// An empty histogram; about 190 KB.
    ///
    /// # Panics
    /// Never: the bounds are constants that the library accepts.
    pub fn new() -> Self {
        let counts = hdrhistogram::Histogram::new_with_bounds(1, MAX_US, 3).expect("the bounds are valid");
        Self { counts, min_us: u64::MAX, max_us: 0 }
    }

    /// Records one duration, µs, clamped to 1 µs–1 h.
    #[inline]
    pub fn record(&mut self, us: i64) {
        let value = (us.max(1) as u64).min(MAX_US);
        self.counts.saturating_record(value);
        self.min_us = self.min_us.min(value);
        self.max_us = self.max_us.max(value);
    }

    /// Adds every sample of `other`.
    ///
    /// # Panics
    /// Never: all histograms have the same bounds.
    pub fn merge(&mut self, other: &Self) {
        self.counts.add(&other.counts).expect("all histograms have the same bounds");
        self.min_us = self.min_us.min(other.min_us);
        self.max_us = self.max_us.max(other.max_us);
    }

    /// Forgets every sample.
    pub fn clear(&mut self) {
        self.counts.reset();
        self.min_us = u64::MAX;
        self.max_us = 0;
    }

    /// The number of samples.
    pub fn count(&self) -> u64 {
        self.counts.len()
    }

    /// The least sample, µs, exact; 0 when empty.
    pub fn min(&self) -> u64 {
        if self.count() == 0 { 0 } else { self.min_us }
    }

    /// The greatest sample, µs, exact; 0 when empty.
    pub fn max(&self) -> u64 {
        self.max_us
    }

    /// The mean, µs, within the histogram's resolution of 0.1 %; 0 when empty.
    pub fn mean(&self) -> f64 {
        self.counts.mean()
    }

    /// The value, µs, at or below which `percentile` (0 to 100) of the samples lie, within 0.1 %; 0 when empty.
    pub fn percentile(&self, percentile: f64) -> u64 {
        if self.count() == 0 {
            return 0;
        }
        self.counts.value_at_percentile(percentile.clamp(0.0, 100.0)).clamp(self.min_us, self.max_us)
    }

    /// Whether a sample of `us` and one of `percentile` share a place: the percentile reaches that sample.
    pub fn reaches(&self, percentile: f64, us: u64) -> bool {
        self.count() > 0 && self.counts.highest_equivalent(self.percentile(percentile)) >= us.clamp(1, MAX_US)
    }

    /// The recorded values, µs (the upper end of each bucket), and how often each came, ascending.
    pub fn buckets(&self) -> (Vec<i64>, Vec<u64>) {
        self.counts
            .iter_recorded()
            .map(|step| (step.value_iterated_to() as i64, step.count_since_last_iteration()))
            .unzip()
    }

    /// The samples in `HdrHistogram`'s V2 form, deflated.
    ///
    /// # Panics
    /// Never: writing to memory does not fail.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&self.counts, &mut bytes)
            .expect("a histogram of fixed bounds always serialises to memory");
        bytes
    }

    /// Reads [`Histogram::to_bytes`], or any V2 histogram whose values fit 1 µs to 1 h. The least and
    /// greatest value are then known within 0.1 % only.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the bytes are no V2 histogram.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let read: hdrhistogram::Histogram<u64> = Deserializer::new()
            .deserialize(&mut &bytes[..])
            .map_err(|error| Error::Invalid(format!("not a V2 HdrHistogram: {error:?}")))?;
        let mut histogram = Self::new();
        for step in read.iter_recorded() {
            let value = step.value_iterated_to().clamp(1, MAX_US);
            histogram.counts.saturating_record_n(value, step.count_since_last_iteration());
        }
        if !read.is_empty() {
            histogram.set_bounds(read.min(), read.max());
        }
        Ok(histogram)
    }

    /// Sets the exact least and greatest value of a histogram that was read from bytes.
    pub(crate) fn set_bounds(&mut self, min_us: u64, max_us: u64) {
        self.min_us = min_us.clamp(1, MAX_US);
        self.max_us = max_us.clamp(1, MAX_US);
    }
}

/// Writes an interval log (V2) that `HdrHistogram`'s tools read: one histogram a second, the `max` column in ms.
pub struct IntervalLog<'a> {
    /// Where the log goes.
    pub path: &'a Path,
    /// The start of the first interval, µs since the Unix epoch.
    pub from_us: i64,
}

impl IntervalLog<'_> {
    /// Writes the histograms of consecutive intervals, each with its length in µs.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be written.
    pub fn write<H: Borrow<Histogram>>(&self, intervals: impl Iterator<Item = (H, i64)>) -> Result<()> {
        self.write_to(self.create()?, intervals)
    }

    /// The same into a file that is open already.
    pub(crate) fn write_to<H: Borrow<Histogram>>(
        &self,
        file: File,
        intervals: impl Iterator<Item = (H, i64)>,
    ) -> Result<()> {
        self.stream_to(file, |write| {
            for (histogram, length_us) in intervals {
                write(histogram.borrow(), length_us)?;
            }
            Ok(())
        })
    }

    /// Writes what `feed` hands over, interval by interval, so that no two of them need be held at once.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be written.
    pub fn stream<T>(
        &self,
        feed: impl FnOnce(&mut dyn FnMut(&Histogram, i64) -> io::Result<()>) -> io::Result<T>,
    ) -> Result<T> {
        self.stream_to(self.create()?, feed)
    }

    fn create(&self) -> Result<File> {
        File::create(self.path).map_err(|source| Error::io("cannot create", self.path, source))
    }

    fn stream_to<T>(
        &self,
        file: File,
        feed: impl FnOnce(&mut dyn FnMut(&Histogram, i64) -> io::Result<()>) -> io::Result<T>,
    ) -> Result<T> {
        self.try_stream(file, feed).map_err(|source| Error::io("cannot write", self.path, source))
    }

    fn try_stream<T>(
        &self,
        file: File,
        feed: impl FnOnce(&mut dyn FnMut(&Histogram, i64) -> io::Result<()>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut writer = BufWriter::new(file);
        let start = UNIX_EPOCH + Duration::from_micros(self.from_us.max(0) as u64);
        // The format's first line is the version, which the library leaves to its caller.
        writer.write_all(b"#[Histogram log format version 1.3]\n")?;
        let mut serializer = V2DeflateSerializer::new();
        let fed = {
            let mut log = IntervalLogWriterBuilder::new()
                .with_start_time(start)
                .with_base_time(start)
                .with_max_value_divisor(1000.0)
                .begin_log_with(&mut writer, &mut serializer)?;
            let mut since = Duration::ZERO;
            feed(&mut |histogram, length_us| {
                let length = Duration::from_micros(length_us.max(0) as u64);
                log.write_histogram(&histogram.counts, since, length, None)
                    .map_err(|error| io::Error::other(error.to_string()))?;
                since += length;
                Ok(())
            })?
        };
        writer.flush()?;
        Ok(fed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(samples: &[i64]) -> Histogram {
        let mut histogram = Histogram::new();
        for &us in samples {
            histogram.record(us);
        }
        histogram
    }

    proptest! {
        #[test]
        fn percentiles_are_within_a_thousandth(mut samples in prop::collection::vec(1..3_600_000_000_i64, 1..300), percentile in 0.0..100.0_f64) {
            let histogram = of(&samples);
            samples.sort_unstable();
            let rank = ((percentile / 100.0 * samples.len() as f64).ceil() as usize).max(1);
            let exact = samples[rank - 1] as f64;
            let seen = histogram.percentile(percentile) as f64;
            prop_assert!((seen - exact).abs() <= exact / 1000.0 + 1.0, "{} against {}", seen, exact);
            prop_assert_eq!(histogram.min(), samples[0] as u64);
            prop_assert_eq!(histogram.max(), samples[samples.len() - 1] as u64);
            prop_assert_eq!(histogram.percentile(100.0), histogram.max());
        }

        #[test]
        fn merged_shards_are_the_whole(samples in prop::collection::vec(1..10_000_000_i64, 0..300), cut in 0..300_usize) {
            let cut = cut.min(samples.len());
            let mut merged = of(&samples[..cut]);
            merged.merge(&of(&samples[cut..]));
            let whole = of(&samples);
            prop_assert_eq!(&merged, &whole);
            prop_assert_eq!((merged.min(), merged.max()), (whole.min(), whole.max()));
            prop_assert_eq!(&Histogram::from_bytes(&whole.to_bytes()).unwrap(), &whole);
        }
    }

    #[test]
    fn out_of_range_values_are_clamped() {
        let histogram = of(&[-5, 0, i64::MAX]);
        assert_eq!((histogram.count(), histogram.min(), histogram.max()), (3, 1, MAX_US));
        assert_eq!(histogram.buckets().1.iter().sum::<u64>(), 3);
    }

    #[test]
    fn an_empty_histogram_has_no_percentile() {
        let empty = Histogram::new();
        assert_eq!((empty.count(), empty.min(), empty.max(), empty.percentile(50.0)), (0, 0, 0, 0));
        assert!(!empty.reaches(100.0, 1));
        assert!(Histogram::from_bytes(b"nonsense").is_err());
    }

    #[test]
    fn a_percentile_reaches_the_samples_at_or_below_it() {
        let histogram = of(&[10, 20, 30, 5000]);
        assert!(!histogram.reaches(75.0, 5000));
        assert!(histogram.reaches(76.0, 5000));
    }
}
