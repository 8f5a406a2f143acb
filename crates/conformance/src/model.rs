//! stub
use crate::Harness;
/// x
pub fn against_model(_h: &dyn Harness) -> Result<(), String> {
    Ok(())
}
/// x
pub fn compare_backends(_h: &dyn Harness, _b: &dyn Harness) -> Result<(), String> {
    Ok(())
}
