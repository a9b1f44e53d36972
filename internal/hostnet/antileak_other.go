//go:build !linux

package hostnet

// AddAntiLeak fails: only Linux is here yet.
func AddAntiLeak(AntiLeak) error { return unsupported() }

// RemoveAntiLeak fails: only Linux is here yet.
func RemoveAntiLeak(string) error { return unsupported() }

// AntiLeaks fails: only Linux is here yet.
func AntiLeaks(string) ([]AntiLeak, error) { return nil, unsupported() }

// Sysctl fails: only Linux is here yet.
func Sysctl(string) (string, error) { return "", unsupported() }

// SetSysctl fails: only Linux is here yet.
func SetSysctl(string, string) error { return unsupported() }

// IPv6Disabled says that nothing is known: only Linux is here yet.
func IPv6Disabled(string) (bool, string) { return false, "" }

// TableNumber fails: only Linux is here yet.
func TableNumber(string) (uint32, error) { return 0, unsupported() }
