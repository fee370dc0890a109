//! The partition of a key, as Java's default partitioner and librdkafka's `murmur2_random` choose it: what the
//! producer writes to, and what the oracle expects of every engine.

/// The partition of a record with this key in a topic of `count` partitions; `count` must not be 0.
#[inline]
pub fn partition_of(key: &[u8], count: u32) -> i32 {
    ((murmur2(key) & 0x7fff_ffff) % count) as i32
}

/// `MurmurHash2` with Kafka's seed.
#[inline]
fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let (words, rest) = key.as_chunks();
    let mut hash = 0x9747_b28c ^ key.len() as u32;
    for &word in words {
        let mut k = u32::from_le_bytes(word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail, &byte| (tail << 8) | u32::from(byte));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use proptest::prelude::*;
    use rdkafka_sys as sys;

    use super::*;

    proptest! {
        #[test]
        fn partitions_are_librdkafkas(key in proptest::collection::vec(any::<u8>(), 1..40), count in 1..1_000_u32) {
            // SAFETY: with a key the partitioner looks at nothing but the key and the count.
            let expected = unsafe {
                sys::rd_kafka_msg_partitioner_murmur2_random(
                    ptr::null(),
                    key.as_ptr().cast(),
                    key.len(),
                    count as i32,
                    ptr::null_mut(),
                    ptr::null_mut(),
                )
            };
            prop_assert_eq!(partition_of(&key, count), expected);
        }
    }
}
