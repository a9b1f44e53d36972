// Package quick decides what bringing a tunnel up or down takes: a
// configuration and facts about the host become an ordered list of steps.
//
// It is the planner of wg-quick(8). It touches nothing: facts are gathered and
// steps are carried out by internal/hostnet, so a plan can be printed, compared
// and tested for hosts that do not exist. Files are parsed by package conf.
//
// Up is planned in stages, because some facts only exist once earlier steps
// were carried out: a PreUp hook may add peers, and the routes that follow from
// an address are the kernel's to make.
//
//	for _, stage := range quick.Stages() {
//		steps, err := quick.Up(config, stage, gather())
//		perform(steps)
//	}
//
// A caller that only wants to show a plan passes Predict's facts instead.
// Every step that does not vanish with the interface has an Undo. The values of
// this package are plain data; nobody owns them.
package quick
