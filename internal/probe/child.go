package probe

// Main serves probe requests and never returns when this process was started
// as a probe child; otherwise it returns at once.
// Call it first in main and in TestMain.
func Main() {}
