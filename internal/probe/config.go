package probe

// Config is a parsed kernel config file.
type Config struct {
	Source  string            // where it was read
	Version string            // release in its header, "" when it has none
	values  map[string]string // symbol without CONFIG_ -> y, m, n, or the text
}
