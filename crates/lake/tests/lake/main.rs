//! The lake on a real directory.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]

mod asking;
mod bucket;
mod calls;
mod erasing;
mod faults;
mod history;
mod hours;
mod hunting;
mod keeping;
mod kills;
mod other_engines;
mod places;
mod store;
mod table;
