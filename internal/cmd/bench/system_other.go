//go:build !linux

package bench

import (
	"context"
	"errors"
	"os"
	"syscall"

	"github.com/warrenvpn/warren/internal/netlab"
)

// echoes fails: there are no namespaces to measure in.
func (r *rig) echoes(context.Context, int) (*echoes, error) { return nil, errors.ErrUnsupported }

func peakOf(*os.ProcessState) float64 { return 0 }

func endsWithUs() *syscall.SysProcAttr { return nil }

func namelessFile() (*os.File, error) { return nil, errors.ErrUnsupported }

func memoryOf(*netlab.Host, string) (float64, error) { return 0, errors.ErrUnsupported }

func forgetPeak(*netlab.Host) error { return errors.ErrUnsupported }

func processorTime(*netlab.Host) (float64, error) { return 0, errors.ErrUnsupported }
