//! A home router between a phone and the internet: three network namespaces of this machine, the middle one
//! masquerading. Used by the softphone tests.
//!
//! The translation is the kernel's own, set as unkind as routers come: each pair of inside socket and far end
//! gets a random outside port of its own, only that far end may answer through it, and a binding unused for
//! [`NatOptions::binding`] is gone. No helper module looks into payloads, so what SIP and SDP say about
//! addresses is as wrong outside as it is behind any router.

use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Where the platform listens. Private on the internet side is not like the world, but the phone's own
/// network (below) is another one, so neither end can reach the other's address by accident.
const PUBLIC: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// The router's outside address.
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
/// The router's inside address.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 1);
/// The phone.
const INSIDE: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 10);

/// How the router behaves.
#[derive(Clone, Copy, Debug)]
pub struct NatOptions {
    /// How long an unused binding is kept, to the second.
    pub binding: Duration,
}

impl Default for NatOptions {
    fn default() -> Self {
        Self { binding: Duration::from_secs(30) }
    }
}

/// The router with a host on either side; everything is gone when it is dropped.
pub struct UdpNat {
    internet: Namespace,
    router: Namespace,
    home: Namespace,
}

/// What the router keeps for one inside socket and one far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatBinding {
    /// Where the inside host sends from.
    pub inside: SocketAddr,
    /// Where the far end sees it come from.
    pub outside: SocketAddr,
    /// The far end.
    pub peer: SocketAddr,
}

impl UdpNat {
    /// Builds both networks and the router.
    ///
    /// # Errors
    /// What is missing: the right to (root), `ip` (Debian: iproute2) or `nft` (Debian: nftables).
    pub fn start(options: NatOptions) -> Result<Self, String> {
        let nat = Self {
            internet: Namespace::new("net")?,
            router: Namespace::new("nat")?,
            home: Namespace::new("home")?,
        };
        let Self { internet, router, home } = &nat;
        link((internet, "wan", PUBLIC), (router, "out", OUTSIDE))?;
        link((router, "in", GATEWAY), (home, "eth", INSIDE))?;
        home.ip(&["route", "add", "default", "via", &GATEWAY.to_string()])?;
        router.run(|| set_up_router(options))?;
        Ok(nat)
    }

    /// The network of the platform.
    pub fn internet(&self) -> &Namespace {
        &self.internet
    }

    /// The network of the phone.
    pub fn home(&self) -> &Namespace {
        &self.home
    }

    /// The platform's address.
    pub fn public_ip(&self) -> IpAddr {
        IpAddr::V4(PUBLIC)
    }

    /// The address that the platform sees.
    pub fn outside_ip(&self) -> IpAddr {
        IpAddr::V4(OUTSIDE)
    }

    /// The phone's own address.
    pub fn inside_ip(&self) -> IpAddr {
        IpAddr::V4(INSIDE)
    }

    /// Bindings alive now.
    pub fn bindings(&self) -> Vec<NatBinding> {
        let table = self.router.run(|| fs::read_to_string("/proc/thread-self/net/nf_conntrack"));
        table.unwrap_or_default().lines().filter_map(binding).collect()
    }
}

/// `ipv4 2 udp 17 29 src=A dst=B sport=1 dport=2 src=B dst=C sport=2 dport=3 …`: the inside's view, then the
/// outside's.
fn binding(line: &str) -> Option<NatBinding> {
    if !line.contains(" udp ") {
        return None;
    }
    let all = |name: &str| -> Vec<String> {
        line.split_whitespace().filter_map(|word| word.strip_prefix(name).map(str::to_owned)).collect()
    };
    let socket = |ip: &str, port: &str, nth: usize| -> Option<SocketAddr> {
        Some(SocketAddr::new(all(ip).get(nth)?.parse().ok()?, all(port).get(nth)?.parse().ok()?))
    };
    Some(NatBinding {
        inside: socket("src=", "sport=", 0)?,
        peer: socket("dst=", "dport=", 0)?,
        outside: socket("dst=", "dport=", 1)?,
    })
}

fn set_up_router(options: NatOptions) -> Result<(), String> {
    let seconds = options.binding.as_secs().max(1).to_string();
    // The rules come first: conntrack and its settings appear with the first rule that needs them.
    nft("table ip tandem {
           chain leaving { type nat hook postrouting priority srcnat; oifname \"out\" masquerade fully-random; }
           chain passing {
             type filter hook forward priority filter; policy drop;
             ct state established,related accept
             iifname \"in\" accept
           }
         }")?;
    for (setting, value) in [
        ("net/netfilter/nf_conntrack_udp_timeout", seconds.as_str()),
        ("net/netfilter/nf_conntrack_udp_timeout_stream", &seconds),
        ("net/ipv4/ip_forward", "1"),
    ] {
        fs::write(format!("/proc/sys/{setting}"), value).map_err(|error| format!("{setting}: {error}"))?;
    }
    Ok(())
}

fn nft(rules: &str) -> Result<(), String> {
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("a NAT needs nft (apt-get install nftables): {error}"))?;
    let written = child.stdin.take().map(|mut stdin| stdin.write_all(rules.as_bytes()));
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if output.status.success() && matches!(written, Some(Ok(()))) {
        Ok(())
    } else {
        Err(format!("nft: {}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// Connects two namespaces by a cable and gives both ends an address of one /24.
fn link(one: (&Namespace, &str, Ipv4Addr), other: (&Namespace, &str, Ipv4Addr)) -> Result<(), String> {
    one.0.ip(&["link", "add", one.1, "type", "veth", "peer", "name", other.1, "netns", &other.0.name])?;
    for (namespace, device, address) in [one, other] {
        namespace.ip(&["addr", "add", &format!("{address}/24"), "dev", device])?;
        namespace.ip(&["link", "set", device, "up"])?;
    }
    Ok(())
}

/// A network of its own on this machine: its own loopback, addresses and ports, so that well-known ones are
/// free. Gone when dropped.
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// A namespace with nothing but loopback.
    ///
    /// # Errors
    /// What is missing: root, or `ip`.
    pub fn new(purpose: &str) -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !rustix::process::geteuid().is_root() {
            return Err("network namespaces need root: run this test as root or under `sudo -E`".to_owned());
        }
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tandem-{}-{number}-{purpose}", std::process::id());
        ip(&["netns", "add", &name])?;
        let namespace = Self { name };
        namespace.ip(&["link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// Runs `work` inside, on a thread of its own: its sockets and the processes it starts stay there.
    ///
    /// # Panics
    /// When `work` does, or the namespace is gone.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            let namespace = fs::File::open(format!("/run/netns/{}", self.name)).expect("the namespace");
            move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), Some(LinkNameSpaceType::Network))
                .expect("root enters a network namespace");
            work()
        };
        std::thread::scope(|scope| scope.spawn(inside).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    fn ip(&self, arguments: &[&str]) -> Result<(), String> {
        let mut all = vec!["-n", self.name.as_str()];
        all.extend(arguments);
        ip(&all)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(ip(&["netns", "del", &self.name]));
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .map_err(|error| format!("network namespaces need ip (apt-get install iproute2): {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(700);

    #[expect(clippy::disallowed_methods, reason = "CI must not pass what it could not test")]
    fn nat(binding: Duration) -> Option<UdpNat> {
        let missing = |missing: String| {
            assert!(std::env::var_os("CI").is_none(), "not tested: {missing}");
            eprintln!("not tested: {missing}");
        };
        UdpNat::start(NatOptions { binding }).map_err(missing).ok()
    }

    fn socket(host: &Namespace, address: IpAddr) -> UdpSocket {
        let socket = host.run(|| UdpSocket::bind((address, 0)).unwrap());
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    #[test]
    fn each_far_end_sees_another_port_and_only_it_may_answer() {
        let Some(nat) = nat(Duration::from_secs(30)) else { return };
        let phone = socket(nat.home(), nat.inside_ip());
        let [one, other] = [0, 1].map(|_| socket(nat.internet(), nat.public_ip()));
        let mut buffer = [0; 16];
        let mut seen = |far: &UdpSocket| {
            phone.send_to(b"out", far.local_addr().unwrap()).unwrap();
            far.recv_from(&mut buffer).unwrap().1
        };
        let (to_one, to_other) = (seen(&one), seen(&other));
        assert_eq!((to_one.ip(), to_other.ip()), (nat.outside_ip(), nat.outside_ip()));
        assert_ne!(to_one, to_other, "one binding per far end");
        assert_eq!(seen(&one), to_one, "and it stays");

        one.send_to(b"back", to_one).unwrap();
        assert_eq!(phone.recv_from(&mut buffer).unwrap().1, one.local_addr().unwrap());
        one.send_to(b"wrong", to_other).unwrap();
        assert!(phone.recv_from(&mut buffer).is_err(), "a far end that was not sent to is not let in");

        let inside = phone.local_addr().unwrap();
        let kept = nat.bindings();
        let expected = NatBinding { inside, outside: to_one, peer: one.local_addr().unwrap() };
        assert!(kept.contains(&expected), "{kept:?}");
    }

    #[test]
    fn an_unused_binding_is_gone_after_its_time() {
        let Some(nat) = nat(Duration::from_secs(1)) else { return };
        let phone = socket(nat.home(), nat.inside_ip());
        let far = socket(nat.internet(), nat.public_ip());
        let mut buffer = [0; 16];
        phone.send_to(b"out", far.local_addr().unwrap()).unwrap();
        let (_, outside) = far.recv_from(&mut buffer).unwrap();
        // Nothing comes for so long: three readings of a socket that times out.
        for _ in 0..3 {
            assert!(phone.recv_from(&mut buffer).is_err());
        }
        far.send_to(b"late", outside).unwrap();
        assert!(phone.recv_from(&mut buffer).is_err(), "the binding is gone");
    }

    #[test]
    fn the_address_of_a_phone_means_nothing_outside() {
        let Some(nat) = nat(Duration::from_secs(30)) else { return };
        let phone = socket(nat.home(), nat.inside_ip());
        let far = socket(nat.internet(), nat.public_ip());
        assert!(far.send_to(b"in", phone.local_addr().unwrap()).is_err(), "no route");
    }
}
