//! The pure part: alerts, policies, guard rails, actions.
