package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// runFlags are the options of run and create, as they are typed.
type runFlags struct {
	name, hostname, domainname, user, workdir, entrypoint, stopSignal string
	env, envFile, label, labelFile, expose, attach                    []string
	tty, interactive, rm, detach, init, privileged, readOnly          bool
	publishAll, sigProxy, oomKillDisable, noHealthcheck, quiet        bool
	startsNext                                                        bool // run, not create
	stopTimeout                                                       int

	volume, mount, tmpfs, volumesFrom                            []string
	network, ip, ip6, mac                                        string
	alias, publish, link, addHost, dns, dnsSearch, dnsOption     []string
	capAdd, capDrop, securityOpt, groupAdd, sysctl, ulimit       []string
	device, deviceRule, logOpt, storageOpt                       []string
	readBps, writeBps, readIOps, writeIOps                       []string
	ipc, pid, uts, userns, cgroupns, cgroupParent                string
	memory, memorySwap, memoryReservation, cpus, cpusetCpus      string
	cpusetMems, shmSize, restart, logDriver, cidfile, detachKeys string
	platform, pull, runtime, isolation                           string
	cpuShares, cpuPeriod, cpuQuota, pidsLimit, memorySwappiness  int64
	oomScoreAdj                                                  int
	blkioWeight                                                  uint16
}

func (f *runFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SetInterspersed(false)             // what follows the image belongs to its program
	flags.Bool("help", false, "print usage") // without -h, which is --hostname
	f.addProcess(flags)
	f.addPlaces(flags)
	f.addRights(flags)
	f.addLimits(flags)
}

func (f *runFlags) addProcess(flags *pflag.FlagSet) {
	flags.StringVar(&f.name, "name", "", "assign a name to the container")
	flags.StringVarP(&f.hostname, "hostname", "h", "", "container host name")
	flags.StringVar(&f.domainname, "domainname", "", "container NIS domain name")
	flags.StringVarP(&f.user, "user", "u", "", "username or UID (format: <name|uid>[:<group|gid>])")
	flags.StringVarP(&f.workdir, "workdir", "w", "", "working directory inside the container")
	flags.StringVar(&f.entrypoint, "entrypoint", "", "overwrite the default ENTRYPOINT of the image")
	flags.StringArrayVarP(&f.env, "env", "e", nil, "set environment variables")
	flags.StringArrayVar(&f.envFile, "env-file", nil, "read in a file of environment variables")
	flags.StringArrayVarP(&f.label, "label", "l", nil, "set meta data on a container")
	flags.StringArrayVar(&f.labelFile, "label-file", nil, "read in a line delimited file of labels")
	flags.StringArrayVar(&f.expose, "expose", nil, "expose a port or a range of ports")
	flags.VarP(attachFlag{&f.attach}, "attach", "a", "attach to STDIN, STDOUT or STDERR")
	flags.BoolVarP(&f.tty, "tty", "t", false, "allocate a pseudo-TTY")
	flags.BoolVarP(&f.interactive, "interactive", "i", false, "keep STDIN open even if not attached")
	flags.BoolVar(&f.init, "init", false, "run an init inside the container that forwards signals and reaps processes")
	flags.StringVar(&f.stopSignal, "stop-signal", "", "signal to stop the container (default SIGTERM)")
	flags.IntVar(&f.stopTimeout, "stop-timeout", 0, "timeout (in seconds) to stop a container")
	flags.StringVar(&f.restart, "restart", "no", "restart policy to apply when a container exits")
	flags.BoolVar(&f.rm, "rm", false, "automatically remove the container when it exits")
	flags.StringVar(&f.cidfile, "cidfile", "", "write the container ID to the file")
	flags.StringVar(&f.logDriver, "log-driver", "", "logging driver for the container: json-file or none")
	flags.StringArrayVar(&f.logOpt, "log-opt", nil, "log driver options: max-size, max-file")
	flags.BoolVar(&f.noHealthcheck, "no-healthcheck", false, "accepted: there are no health checks")
	flags.StringVar(&f.platform, "platform", "", "which of an image's platforms to bring in, such as linux/arm64")
	flags.StringVar(&f.pull, "pull", pullMissing, "bring the image in before creating: always, missing, never")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "say nothing about bringing the image in")
	flags.StringVar(&f.runtime, "runtime", "", "accepted: there is one runtime")
	flags.StringVar(&f.isolation, "isolation", "", "accepted: there is one kind")
}

func (f *runFlags) addPlaces(flags *pflag.FlagSet) {
	flags.StringArrayVarP(&f.volume, "volume", "v", nil, "bind mount a volume")
	flags.StringArrayVar(&f.mount, "mount", nil, "attach a filesystem mount to the container")
	flags.StringArrayVar(&f.tmpfs, "tmpfs", nil, "mount a tmpfs directory")
	flags.StringArrayVar(&f.volumesFrom, "volumes-from", nil, "mount volumes from the specified container(s)")
	flags.BoolVar(&f.readOnly, "read-only", false, "mount the container's root filesystem as read only")
	flags.StringArrayVar(&f.storageOpt, "storage-opt", nil, "storage driver options for the container: size")
	flags.StringVar(&f.network, "network", "default", "connect a container to a network")
	flags.StringVar(&f.network, "net", "default", "connect a container to a network")
	flags.MarkHidden("net")
	flags.StringVar(&f.ip, "ip", "", "IPv4 address (e.g., 172.30.100.104)")
	flags.StringVar(&f.ip6, "ip6", "", "IPv6 address (e.g., 2001:db8::33)")
	flags.StringVar(&f.mac, "mac-address", "", "container MAC address (e.g., 92:d0:c6:0a:29:33)")
	flags.StringArrayVar(&f.alias, "network-alias", nil, "add network-scoped alias for the container")
	flags.StringArrayVarP(&f.publish, "publish", "p", nil, "publish a container's port(s) to the host")
	flags.BoolVarP(&f.publishAll, "publish-all", "P", false, "publish all exposed ports to random ports")
	flags.StringArrayVar(&f.link, "link", nil, "add link to another container")
	flags.StringArrayVar(&f.addHost, "add-host", nil, "add a custom host-to-IP mapping (host:ip)")
	flags.StringArrayVar(&f.dns, "dns", nil, "set custom DNS servers")
	flags.StringArrayVar(&f.dnsSearch, "dns-search", nil, "set custom DNS search domains")
	flags.StringArrayVar(&f.dnsOption, "dns-option", nil, "set DNS options")
}

func (f *runFlags) addRights(flags *pflag.FlagSet) {
	flags.BoolVar(&f.privileged, "privileged", false, "give extended privileges to this container")
	flags.StringArrayVar(&f.capAdd, "cap-add", nil, "add Linux capabilities")
	flags.StringArrayVar(&f.capDrop, "cap-drop", nil, "drop Linux capabilities")
	flags.StringArrayVar(&f.securityOpt, "security-opt", nil, "security options: seccomp=FILE|unconfined, no-new-privileges, systempaths=unconfined")
	flags.StringArrayVar(&f.groupAdd, "group-add", nil, "add additional groups to join")
	flags.StringArrayVar(&f.sysctl, "sysctl", nil, "sysctl options (name=value)")
	flags.StringArrayVar(&f.device, "device", nil, "add a host device to the container")
	flags.StringArrayVar(&f.deviceRule, "device-cgroup-rule", nil, "add a rule to the cgroup allowed devices list")
	flags.StringVar(&f.ipc, "ipc", "", "IPC mode to use: private, shareable, host, container:REF")
	flags.StringVar(&f.pid, "pid", "", "PID namespace to use: host, container:REF")
	flags.StringVar(&f.uts, "uts", "", "UTS namespace to use: host")
	flags.StringVar(&f.userns, "userns", "", "user namespace to use: host, or CONTAINER:HOST:SIZE for one of its own")
	flags.StringVar(&f.cgroupns, "cgroupns", "", "cgroup namespace to use: host, private")
}

func (f *runFlags) addLimits(flags *pflag.FlagSet) {
	flags.StringVarP(&f.memory, "memory", "m", "", "memory limit")
	flags.StringVar(&f.memorySwap, "memory-swap", "", "swap limit equal to memory plus swap: '-1' to enable unlimited swap")
	flags.StringVar(&f.memoryReservation, "memory-reservation", "", "memory soft limit")
	flags.Int64Var(&f.memorySwappiness, "memory-swappiness", -1, "tune container memory swappiness (0 to 100)")
	flags.StringVar(&f.cpus, "cpus", "", "number of CPUs")
	flags.Int64VarP(&f.cpuShares, "cpu-shares", "c", 0, "CPU shares (relative weight)")
	flags.Int64Var(&f.cpuPeriod, "cpu-period", 0, "limit CPU CFS (Completely Fair Scheduler) period")
	flags.Int64Var(&f.cpuQuota, "cpu-quota", 0, "limit CPU CFS (Completely Fair Scheduler) quota")
	flags.StringVar(&f.cpusetCpus, "cpuset-cpus", "", "CPUs in which to allow execution (0-3, 0,1)")
	flags.StringVar(&f.cpusetMems, "cpuset-mems", "", "MEMs in which to allow execution (0-3, 0,1)")
	flags.Int64Var(&f.pidsLimit, "pids-limit", 0, "tune container pids limit (set -1 for unlimited)")
	flags.Uint16Var(&f.blkioWeight, "blkio-weight", 0, "block IO (relative weight), between 10 and 1000, or 0 to disable")
	flags.StringArrayVar(&f.readBps, "device-read-bps", nil, "limit read rate (bytes per second) from a device")
	flags.StringArrayVar(&f.writeBps, "device-write-bps", nil, "limit write rate (bytes per second) to a device")
	flags.StringArrayVar(&f.readIOps, "device-read-iops", nil, "limit read rate (IO per second) from a device")
	flags.StringArrayVar(&f.writeIOps, "device-write-iops", nil, "limit write rate (IO per second) to a device")
	flags.StringArrayVar(&f.ulimit, "ulimit", nil, "ulimit options")
	flags.StringVar(&f.shmSize, "shm-size", "", "size of /dev/shm")
	flags.IntVar(&f.oomScoreAdj, "oom-score-adj", 0, "tune host's OOM preferences (-1000 to 1000)")
	flags.BoolVar(&f.oomKillDisable, "oom-kill-disable", false, "disable OOM killer")
	flags.StringVar(&f.cgroupParent, "cgroup-parent", "", "optional parent cgroup for the container")
}

// attachFlag collects the streams of --attach.
type attachFlag struct{ streams *[]string }

func (a attachFlag) Set(text string) error {
	stream := strings.ToLower(text)
	if !slices.Contains([]string{"stdin", "stdout", "stderr"}, stream) {
		return errors.New("valid streams are STDIN, STDOUT and STDERR")
	}
	*a.streams = append(*a.streams, stream)
	return nil
}

func (a attachFlag) String() string { return "" }

func (a attachFlag) Type() string { return "list" }
