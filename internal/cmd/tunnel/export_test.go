package tunnel

import (
	"github.com/warrenvpn/warren/internal/hostnet"
	"github.com/warrenvpn/warren/internal/quick"
)

// SetProbe has f told where the steps of this process have come to.
func SetProbe(f func(hostnet.Moment, quick.Step)) { probe = f }
