//! The oracle is tested first: seeded mutants of a correct output of each pattern are all caught, correct outputs
//! raise no alarm, and latencies are those of an obviously correct computation.

mod oracle {
    mod aggregates;
    mod coverage;
    mod disorder;
    mod engine;
    mod hops;
    mod identity;
    mod malformed;
    mod stored;
    mod topics;
}
