//! Kong, through its Admin API.
