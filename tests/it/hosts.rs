//! Two hosts, each of which is a network namespace of this machine, and a cable between them. Only root may make
//! them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What tells `mpirun` that a host has gone. Without it, `mpirun` waits much longer than the ranks.
const KEEPALIVE: &str =
    "--mca oob_tcp_keepalive_time 5 --mca oob_tcp_keepalive_intvl 2 --mca oob_tcp_keepalive_probes 3";

pub(crate) struct Hosts {
    /// The names of the namespaces. Each has one end of the cable, with the same name.
    names: [String; 2],
    /// The program with which `mpirun` starts processes on a host.
    agent: PathBuf,
    network: String,
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for name in &self.names {
            ip(&["netns", "delete", name]);
        }
    }
}

/// Runs `ip`, and tells whether it could do it.
fn ip(args: &[&str]) -> bool {
    Command::new("ip").args(args).output().is_ok_and(|output| output.status.success())
}

impl Hosts {
    /// `None` if they cannot be made here.
    pub(crate) fn new(at: &Path) -> Option<Self> {
        let id = std::process::id();
        let names = ["a", "b"].map(|end| format!("gan{id}{end}"));
        let hosts = Self {
            names,
            agent: at.join("agent"),
            network: format!("10.{}.{}", 64 + id / 256 % 64, id % 256),
        };
        let [a, b] = &hosts.names;
        let made = ip(&["netns", "add", a])
            && ip(&["netns", "add", b])
            && ip(&["link", "add", a, "netns", a, "type", "veth", "peer", "name", b, "netns", b]);
        if !made {
            return None;
        }
        for i in 0..2 {
            let (name, address) = (&hosts.names[i], format!("{}/24", hosts.address(i)));
            let inside = |args: &[&str]| assert!(ip(&[&["-n", name], args].concat()), "{args:?}");
            inside(&["address", "add", &address, "dev", name]);
            inside(&["link", "set", name, "up"]);
            inside(&["link", "set", "lo", "up"]);
        }
        let agent = format!(
            "#!/bin/sh\ncase \"$1\" in {}) name={a};; *) name={b};; esac\nshift\nexec ip netns exec $name unshare --uts \
             sh -c \"hostname $name; $*\"\n",
            hosts.address(0)
        );
        std::fs::write(&hosts.agent, agent).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&hosts.agent, mode).unwrap();
        Some(hosts)
    }

    pub(crate) fn address(&self, host: usize) -> String {
        format!("{}.{}", self.network, host + 1)
    }

    /// `mpirun` on the first host, which starts a process of `command` on each of both.
    pub(crate) fn mpirun(&self, command: &[&str]) -> Command {
        let (network, agent) = (format!("{}.0/24", self.network), self.agent.display());
        let options = format!(
            "--mca plm_rsh_agent {agent} --mca btl tcp,self --mca btl_tcp_if_include {network} --mca \
             oob_tcp_if_include {network} {KEEPALIVE} --host {}:1,{}:1 -n 2",
            self.address(0),
            self.address(1)
        );
        let mut mpirun = Command::new("ip");
        mpirun.args(["netns", "exec", &self.names[0], "unshare", "--uts", "sh", "-c"]);
        mpirun
            .arg(format!("hostname {}; exec mpirun {options} \"$@\"", self.names[0]))
            .arg("sh")
            .args(command);
        mpirun
    }

    /// Cuts the cable.
    pub(crate) fn cut(&self) {
        assert!(ip(&["-n", &self.names[0], "link", "set", &self.names[0], "down"]));
    }
}
