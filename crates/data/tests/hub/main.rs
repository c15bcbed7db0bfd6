//! The model hub, asked over the loopback interface: what is loaded, how it lies in the cache, and
//! what happens when something goes wrong.

mod place;
mod refused;
mod resumed;
mod stored;
