package probe

import "context"

// Options says how far Run may go.
type Options struct {
	Load     bool    // let live probes make the kernel load modules
	Passive  bool    // read files only; no child is started
	Config   *Config // judge another kernel by its config; nothing is asked of this one
	StateDir string  // folder whose filesystem is judged; "" is the temporary folder
}

// Run answers the given probes, or all of them, in table order.
func Run(ctx context.Context, opt Options, ids ...ID) []Result {
	return nil
}
