package netdemo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
)

// CNI, the Container Network Interface of Kubernetes, hands the same work to a program: the plugin
// gets its configuration on standard input and the rest in the environment, and writes what it did as
// JSON on standard output. There is no daemon and no library: any program that does so is a plugin.
// The specification: https://github.com/containernetworking/cni/blob/main/SPEC.md.

// CNI is one attachment of a sandbox through a plugin.
type CNI struct {
	Dir       string          // where the plugins are: CNI_PATH; Debian has them in /usr/lib/cni
	Config    json.RawMessage // the network configuration; its "type" is the plugin's file name
	Container string          // CNI_CONTAINERID
	Interface string          // CNI_IFNAME: what the link is to be called in the sandbox
}

// CNIResult is the part of a result that a lab shows; Raw is all of it as the plugin wrote it.
type CNIResult struct {
	Version    string         `json:"cniVersion"`
	Interfaces []CNIInterface `json:"interfaces"`
	IPs        []CNIAddress   `json:"ips"`
	Routes     []CNIRoute     `json:"routes"`
	Raw        []byte         `json:"-"`
}

// CNIInterface is a link that the plugin made or used. Sandbox is empty for one on the host.
type CNIInterface struct{ Name, Mac, Sandbox string }

// CNIAddress is an address; Interface is an index into CNIResult.Interfaces.
type CNIAddress struct {
	Address, Gateway string
	Interface        *int
}

// CNIRoute is a route in the sandbox.
type CNIRoute struct{ Dst, GW string }

// CNIError is what a plugin writes when it fails.
type CNIError struct {
	Code    int    `json:"code"`
	Message string `json:"msg"`
	Details string `json:"details"`
}

func (e *CNIError) Error() string {
	return fmt.Sprintf("%s %s (code %d)", e.Message, e.Details, e.Code)
}

// Add runs the plugin with CNI_COMMAND=ADD in the host's namespace, for the sandbox.
func (c CNI) Add(ctx context.Context, host, sandbox *Namespace) (CNIResult, error) {
	out, err := c.run(ctx, "ADD", host, sandbox)
	if err != nil {
		return CNIResult{}, err
	}
	r := CNIResult{Raw: out}
	return r, wrap("read result of", c.Container, json.Unmarshal(out, &r))
}

// Del runs the plugin with CNI_COMMAND=DEL. The specification has it succeed when there is nothing to
// undo, so it may be repeated.
func (c CNI) Del(ctx context.Context, host, sandbox *Namespace) error {
	_, err := c.run(ctx, "DEL", host, sandbox)
	return err
}

func (c CNI) run(ctx context.Context, command string, host, sandbox *Namespace) ([]byte, error) {
	var config struct{ Type string }
	if err := json.Unmarshal(c.Config, &config); err != nil || filepath.Base(config.Type) != config.Type || config.Type == "" {
		return nil, &Error{Op: "read CNI configuration", Subject: string(c.Config), Err: ErrInvalid}
	}
	cmd := exec.CommandContext(ctx, filepath.Join(c.Dir, config.Type))
	cmd.Env = []string{
		"CNI_COMMAND=" + command, "CNI_CONTAINERID=" + c.Container, "CNI_NETNS=" + sandbox.Path(),
		"CNI_IFNAME=" + c.Interface, "CNI_PATH=" + c.Dir,
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin", // plugins that masquerade call iptables
	}
	var out, errOut bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(c.Config), &out, &errOut
	err := host.Do(cmd.Run)
	subject := config.Type + " " + command + " " + c.Container
	if err == nil {
		return out.Bytes(), nil
	}
	var said CNIError
	if json.Unmarshal(out.Bytes(), &said) == nil && said.Message != "" {
		return nil, &Error{Op: "run plugin", Subject: subject, Err: &said}
	}
	return nil, &Error{Op: "run plugin", Subject: subject, Err: fmt.Errorf("%w: %s", err, bytes.TrimSpace(errOut.Bytes()))}
}
