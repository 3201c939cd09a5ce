package probe

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cutaway/internal/needs"
)

// needRoot skips tests that want more than an ordinary user has.
func needRoot(t *testing.T) {
	t.Helper()
	needs.That(t, currentCaller().privileged, "root (CAP_SYS_ADMIN)")
}

// everything runs the whole table once for all tests that only look at it.
var everything = sync.OnceValues(func() (map[ID]Result, time.Duration) {
	begin := time.Now()
	results := map[ID]Result{}
	for _, r := range Run(context.Background(), Options{}) {
		results[r.ID] = r
	}
	return results, time.Since(begin)
})

func TestLiveAnswersEveryRow(t *testing.T) {
	results, took := everything()
	t.Logf("%d rows in %v", len(results), took)
	for _, p := range All() {
		r, ok := results[p.ID]
		if !ok || r.State == "" {
			t.Errorf("%s: no answer", p.ID)
		}
		if ok && r.State != Yes && r.Reason == "" && len(r.Evidence) == 0 {
			t.Errorf("%s: %s without a reason or evidence", p.ID, r.State)
		}
		if strings.Contains(r.Reason, "died") || strings.Contains(r.Reason, "no answer") || strings.Contains(r.Reason, "no such live") {
			t.Errorf("%s: %s", p.ID, r.Reason)
		}
	}
	// The budget is 0.6 s on an idle machine with two cores; this one is shared.
	if took > 1200*time.Millisecond {
		t.Errorf("the whole table took %v; want less than 1.2 s", took)
	}
}

// A kernel config is the second source for all rows that have symbols. Where
// it disagrees, the reason must be one that explains it.
func TestLiveAgreesWithConfig(t *testing.T) {
	needRoot(t)
	config := RunningConfig()
	if config == nil {
		t.Skip("no kernel config found (CONFIG_IKCONFIG_PROC or /boot/config-*)")
	}
	results, _ := everything()
	explained := map[string]bool{
		reasonNotV1: true, reasonDisabled: true, reasonV1Unmounted: true, reasonV2Bound: true,
		reasonNotActive: true, "pressure accounting is off at boot": true,
		"the file system of the state folder is not mounted with prjquota": true,
	}
	compared := 0
	for _, p := range All() {
		promised := judge(facts(config, p.Symbols))
		r := results[p.ID]
		if promised == Unknown || !conclusive(r.State) {
			continue
		}
		compared++
		if promised == No && r.State == Yes || promised == Yes && !Usable(r.State) && !explained[r.Reason] {
			t.Errorf("%s: config says %s (%v), kernel says %s (%s)", p.ID, promised, r.Config, r.State, r.Reason)
		}
	}
	t.Logf("compared %d rows with %s", compared, config.Source)
}

// Files are the second source for rows that have one: presence there must not
// be denied by the probe.
func TestLiveAgreesWithFiles(t *testing.T) {
	needRoot(t)
	results, _ := everything()
	for _, p := range All() {
		r := results[p.ID]
		if p.File == "" || p.Group == groupDevice && r.State == Off {
			continue
		}
		present := inFile(p.File)
		if present && r.State == No {
			t.Errorf("%s: %s is there, the probe says %s: %v", p.ID, p.File, r.State, r.Evidence)
		}
		if path, _, field := strings.Cut(p.File, " "); field && path == "/proc/filesystems" && !present && r.State == Yes {
			t.Errorf("%s: not in %s, the probe says yes", p.ID, path)
		}
	}
}

// Programs are the second source for what they show.
func TestLiveAgreesWithTools(t *testing.T) {
	needRoot(t)
	results, _ := everything()
	inNetns := func(command string) bool {
		cmd := exec.Command("unshare", "-n", "-m", "sh", "-c", command)
		cmd.Env = append(os.Environ(), "XTABLES_LOCKFILE=/dev/null")
		return cmd.Run() == nil
	}
	for _, c := range []struct {
		id      ID
		tool    string
		command string
	}{
		{"net.veth", "ip", "ip link add type veth"},
		{"net.dummy", "ip", "ip link add d0 type dummy"},
		{"net.bridge", "ip", "ip link add b0 type bridge"},
		{"net.bridge.vlan-filtering", "ip", "ip link add b0 type bridge vlan_filtering 1"},
		{"net.vxlan", "ip", "ip link add v0 type vxlan id 7 dstport 4789"},
		{"net.macvlan", "ip", "ip link add p0 type veth && ip link add m0 link p0 type macvlan"},
		{"net.ipvlan", "ip", "ip link add p0 type veth && ip link add i0 link p0 type ipvlan"},
		{"nft.masq", "nft", "nft add table t && nft 'add chain t c { type nat hook postrouting priority 100; }' && nft add rule t c masquerade"},
		{"nft.nat", "nft", "nft add table t && nft 'add chain t c { type nat hook postrouting priority 100; }' && nft add rule t c snat to 192.0.2.1"},
		{"nft.ct", "nft", "nft add table t && nft add chain t c && nft add rule t c ct state new"},
		{"nft.fib", "nft", "nft add table t && nft 'add chain t c { type nat hook prerouting priority -100; }' && nft add rule t c fib daddr type local"},
		{"iptables.legacy.raw", "iptables-legacy", "iptables-legacy -t raw -L"},
		{"ip6tables.legacy.nat", "ip6tables-legacy", "ip6tables-legacy -t nat -L"},
		{"xt.conntrack", "iptables-legacy", "iptables-legacy -A INPUT -m conntrack --ctstate NEW"},
		{"xt.ipvs", "iptables-legacy", "iptables-legacy -A INPUT -m ipvs --ipvs"},
		{"dm", "dmsetup", "dmsetup version"},
	} {
		if _, err := exec.LookPath(c.tool); err != nil {
			t.Logf("%s: not compared: %s is not installed", c.id, c.tool)
			continue
		}
		if r := results[c.id]; (r.State == Yes) != inNetns(c.command) {
			t.Errorf("%s: %s (%v), but %q says %v", c.id, r.State, r.Evidence, c.command, r.State != Yes)
		}
	}
}

// What this kernel's config rules out is a true negative sample; the probe
// has to say no, and to know what to do.
func TestLiveNegatives(t *testing.T) {
	needRoot(t)
	results, _ := everything()
	config := RunningConfig()
	for id, symbol := range map[ID]string{
		"fs.aufs": "AUFS_FS", "dm": "BLK_DEV_DM", "dm.thin-pool": "BLK_DEV_DM", "net.ipvlan": "IPVLAN", "net.dummy": "DUMMY",
		"lsm.apparmor": "SECURITY_APPARMOR", "xt.ipvs": "IP_VS", "cgroup.v2.dmem": "CGROUP_DMEM", "dir.quota": "QFMT_V2",
	} {
		if config == nil || config.On(symbol) {
			t.Logf("%s: no sample: this kernel has %s, or no config to tell", id, symbol)
			continue
		}
		if r := results[id]; Usable(r.State) || r.State == Denied || r.State == Unknown || r.Fix == "" || r.Effect == "" {
			t.Errorf("%s without CONFIG_%s = %s (%s); want a firm answer, an effect and a fix", id, symbol, r.State, r.Reason)
		}
	}
}

// A crash or a hang costs one row: the next one gets a new child.
func TestLiveFailuresCostOneRow(t *testing.T) {
	t.Setenv(testFunctions, "1")
	w := &worker{place: plain, caller: currentCaller()}
	var states []State
	begin := time.Now()
	w.run(context.Background(), []Probe{
		{Live: "test-panic"}, {Live: "call:clone3"}, {Live: "test-kill"}, {Live: "caps"}, {Live: "test-hang"}, {Live: "call:openat2"},
	}, func(_ Probe, f Finding, _ time.Duration) {
		states = append(states, f.State)
		t.Logf("%s %s", f.State, f.Reason)
	})
	if diff := cmp.Diff([]State{Unknown, Yes, Unknown, Yes, Unknown, Yes}, states); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	if took := time.Since(begin); took > patience()+30*time.Second {
		t.Errorf("took %v; want little more than one timeout of %v", took, patience())
	}
	if left := children(t); len(left) != 0 {
		t.Errorf("left processes: %v", left)
	}
}

func TestRunStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, r := range Run(ctx, Options{}, "ns.mnt", "fs.overlay") {
		if r.State != Unknown || r.Reason == "" {
			t.Errorf("%s = %s (%s) after the context ended; want unknown", r.ID, r.State, r.Reason)
		}
	}
}

func TestRunPicks(t *testing.T) {
	var ids []ID
	for _, r := range Run(context.Background(), Options{Passive: true}, "seccomp", "ns.mnt", "no-such-row") {
		ids = append(ids, r.ID)
	}
	if diff := cmp.Diff([]ID{"ns.mnt", "seccomp"}, ids); diff != "" {
		t.Errorf("Run (-want +got):\n%s", diff)
	}
}

// The same binary again, as an ordinary user: no row may turn a refusal into
// a "no" about a feature that root found.
func TestLiveAsNobody(t *testing.T) {
	needRoot(t)
	results, _ := everything()
	if os.Getenv("CUTAWAY_PROBE_NOBODY") != "" {
		t.Skip("inside already")
	}
	out, err := runAsNobody(t)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	counted := map[State]int{}
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) != 3 || f[0] != "ROW" {
			continue
		}
		id, state := ID(f[1]), State(f[2])
		counted[state]++
		if results[id].State == Yes && (state == No || state == Off) {
			t.Errorf("%s: yes for root, %s for nobody", id, state)
		}
		if results[id].State == No && state == Yes {
			t.Errorf("%s: no for root, yes for nobody", id)
		}
	}
	if counted[Yes] < 50 {
		t.Errorf("only %v could be answered without root", counted)
	}
	t.Logf("as nobody: %v", counted)
}

// runAsNobody copies the test binary to where nobody can run it.
func runAsNobody(t *testing.T) (string, error) {
	dir, err := os.MkdirTemp("", "cutaway-probe-test-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	binary, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(dir+"/test", binary, 0o755); err != nil {
		return "", err
	}
	cmd := exec.Command(dir+"/test", "-test.run", "^TestPrintRows$", "-test.v")
	cmd.Dir = "/"
	state := dir + "/state"
	if err := errors.Join(os.Mkdir(state, 0o755), os.Chown(state, nobody, nobody)); err != nil {
		return "", err
	}
	cmd.Env = append(os.Environ(), "CUTAWAY_PROBE_NOBODY=1", "TMPDIR="+state)
	cmd.SysProcAttr = stranger.attr(caller{privileged: true})
	out, err := cmd.CombinedOutput()
	if left, _ := os.ReadDir(state); len(left) != 0 {
		t.Errorf("left in the state folder by nobody: %v", left)
	}
	return string(out), err
}

// TestPrintRows is the part of TestLiveAsNobody that runs as nobody.
func TestPrintRows(t *testing.T) {
	if os.Getenv("CUTAWAY_PROBE_NOBODY") == "" {
		t.Skip("TestLiveAsNobody runs it")
	}
	for _, r := range Run(context.Background(), Options{}) {
		os.Stdout.WriteString("ROW " + string(r.ID) + " " + string(r.State) + "\n")
	}
}

// A zombie is gone, whoever has not reaped it yet.
func TestAbandonedByZombie(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := strconv.Itoa(cmd.Process.Pid)
	name := ownedPrefix + pid + "-" + startTime(pid)
	if abandoned(name) {
		t.Errorf("abandoned(%s) while it runs", name)
	}
	_ = cmd.Process.Kill()
	for range 100 {
		if abandoned(name) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !abandoned(name) {
		t.Errorf("abandoned(%s) = false for a zombie", name)
	}
	_ = cmd.Wait()
}
