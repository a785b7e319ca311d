//! Tests of how changes are shown.
