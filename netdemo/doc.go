// Package netdemo builds container networks out of the kernel's own parts, and reads them back.
//
// # The story
//
// A network namespace is a second, empty network stack: its own links, addresses, routes, neighbours,
// firewall and port numbers. Everything else is a way to get packets into it and out of it again.
//
//	     sandbox "web" (netns)                 sandbox "db" (netns)
//	  ┌───────────────────────┐             ┌───────────────────────┐
//	  │ lo   127.0.0.1        │             │ lo                    │
//	  │ eth0 172.18.0.2/16    │             │ eth0 172.18.0.3/16    │
//	  └──────┬────────────────┘             └──────┬────────────────┘
//	         │ veth pair: what enters one end leaves the other
//	host ┌───┴─────────┐                       ┌───┴─────────┐
//	     │ veth1a2b... │ bridge port           │ veth3c4d... │
//	     └───┬─────────┘                       └───┬─────────┘
//	     ┌───┴─────────────────────────────────────┴───┐
//	     │ br-cafe  172.18.0.1/16: a switch whose own  │
//	     │ port is the sandboxes' default gateway      │
//	     └───────────────┬─────────────────────────────┘
//	                     │ net.ipv4.ip_forward, nf_tables
//	     ┌───────────────┴──────────────┐
//	     │ eth0: the host's way out     │  masquerade out, DNAT or a proxy in
//	     └──────────────────────────────┘
//
// # The kernel's vocabulary
//
//   - link: a network device. A veth pair is two links, each knowing the other's index (iflink).
//   - bridge: a switch in the kernel. Links put on it with "master" become its ports; its forwarding
//     database (fdb) says which MAC is behind which port.
//   - neighbour: one line of the ARP (IPv4) or NDP (IPv6) table, address to MAC.
//   - nf_tables: tables of chains of rules hooked into the path of a packet; conntrack remembers
//     the connections, so that NAT needs to be decided for the first packet only.
//   - vxlan: a link that wraps whole Ethernet frames in UDP (port 4789) to another host.
//
// # Docker's vocabulary (the Container Network Model)
//
//	controller  a state folder plus the host's namespace     Controller
//	network     a bridge, its subnet and its rules            Network
//	endpoint    an address, a MAC, a name on the network      Endpoint
//	sandbox     a network namespace                           Sandbox
//	join        a veth pair from the bridge into the sandbox  Endpoint.Join
//
// # Which namespace is touched
//
// Every function takes the namespace that it acts on as a *Namespace. There is no function that acts
// on the caller's own network by default: a caller that wants that opens /proc/self/ns/net by name.
//
// # What this is not
//
// No daemon: state is a folder of small files that any process may open. No IPVS, no swarm, no
// gossip: the remote ends of a VXLAN are told by the caller. No iptables: rules are nf_tables rules,
// which stand beside Docker's iptables rules and can be read with "nft list ruleset".
//
// Manual pages: network_namespaces(7), veth(4), netlink(7), rtnetlink(7), packet(7), ip-link(8),
// bridge(8), nft(8). Kernel documents: Documentation/networking/{bridge,vxlan,ip-sysctl}.rst.
package netdemo
