//! Real processes, real sockets. An unexpected warning in the program's log fails a test.

mod command_line;
mod demo;
mod faults;
mod harness;
mod kills;
mod loop_by_hand;
mod replay;
