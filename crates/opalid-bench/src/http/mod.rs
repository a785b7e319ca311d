//! As much HTTP/1.1 as a load generator needs: requests serialized beforehand, answers framed exactly.

pub mod answer;
pub mod client;
pub mod request;
