package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"ampulla/annotator/engine"
	"ampulla/annotator/feedback"
	"ampulla/annotator/output"
	"ampulla/annotator/rewrite"
	"ampulla/annotator/rule"
	"ampulla/annotator/verdict"
)

func noFeedbackFlag() cli.Flag {
	return &cli.BoolFlag{Name: "no-feedback", Usage: "leave out what people said of verdicts, see ampulla baseline feedback"}
}

// feedbackCommand is a part of the command baseline.
func feedbackCommand() *cli.Command {
	command := &cli.Command{
		Name:  "feedback",
		Usage: "say what is normal here and what is bad, and look at what was said",
		Description: `What you say becomes a rule with a scope: hosts, a service, a type of verdict, at
least one of them. What is normal is not flagged any more, and says which rule it
was; what is bad is flagged. Of several rules about a packet the newest counts.

   ampulla baseline feedback normal --hosts 10.0.0.66,10.0.0.5 --type port_scan --why 'nightly inventory'
   ampulla baseline feedback bad --hosts 203.0.113.0/24 --why 'known for malware'
   ampulla baseline feedback review office.pcapng
   ampulla baseline feedback undo 7`,
		Subcommands: []*cli.Command{
			sayCommand(rule.Normal, "say that something is normal here, and need not be flagged"),
			sayCommand(rule.Bad, "say that something is bad, and has to be flagged"),
			{Name: "list", Usage: "list the rules, one a line", ArgsUsage: " ", Action: runFeedbackList},
			{Name: "show", Usage: "print a rule", ArgsUsage: "ID", Action: runFeedbackShow},
			{Name: "review", Usage: "tell what each rule changes in a capture", ArgsUsage: "IN", Action: runFeedbackReview,
				Flags: []cli.Flag{configFlag(), workersFlag(), libraryFlag()}},
			{Name: "undo", Usage: "take rules back; prints them, so that import can bring them back", ArgsUsage: "ID...", Action: runFeedbackUndo},
			{Name: "export", Usage: "write all rules to a file", ArgsUsage: "OUT", Action: runFeedbackExport},
			{Name: "import", Usage: "add the rules in a file to one's own", ArgsUsage: "IN", Action: runFeedbackImport},
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usage(fmt.Sprintf("no command %q", c.Args().First()), "ampulla baseline feedback --help lists the commands")
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
	for _, sub := range command.Subcommands {
		sub.OnUsageError = asUsageError
		sub.Flags = append(sub.Flags, &cli.StringFlag{Name: "file", Usage: "the rules are in this `FILE`", DefaultText: "feedback.yaml in the configuration folder"})
	}
	return command
}

func sayCommand(says rule.Opinion, use string) *cli.Command {
	return &cli.Command{
		Name: string(says), Usage: use, ArgsUsage: " ",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "hosts", Usage: "`ADDRESS` or network that sends or receives; two, with a comma, talk to each other"},
			&cli.StringFlag{Name: "service", Usage: "`SERVICE` that is called, as in tcp/22"},
			&cli.StringFlag{Name: "type", Usage: "`TYPE` of the verdict: " + strings.Join(typeNames(), ", ")},
			&cli.StringFlag{Name: "why", Usage: "`REASON`, for whoever reviews the rule"},
			&cli.StringFlag{Name: "who", Usage: "`NAME` of who says so", DefaultText: "your own"},
		},
		Action: func(c *cli.Context) error { return runFeedbackSay(c, says) },
	}
}

func typeNames() []string {
	var names []string
	for _, t := range verdict.Types {
		names = append(names, string(t))
	}
	return names
}

// feedbackPath is the file that the command is about.
func feedbackPath(c *cli.Context) (string, error) {
	if path := c.String("file"); path != "" {
		return path, nil
	}
	return feedback.Path()
}

func loadFeedback(c *cli.Context) (*feedback.Log, error) {
	path, err := feedbackPath(c)
	if err != nil {
		return nil, err
	}
	return feedback.Load(path)
}

func updateFeedback(c *cli.Context, change func(*feedback.Log) error) error {
	path, err := feedbackPath(c)
	if err != nil {
		return err
	}
	return feedback.Update(path, change)
}

// userFeedback is the user's file of feedback for a program that stays.
func userFeedback(stderr io.Writer) *feedback.File {
	path, err := feedback.Path()
	if err != nil {
		path = "" // nobody without a home has said anything
	}
	return feedback.NewFile(path, func(err error) {
		fmt.Fprintf(stderr, "ampulla: warning: %v; the rules from before are in force\n", err)
	})
}

// rulesInForce are those that a command goes by; nil for none.
func rulesInForce(c *cli.Context) (*rule.Set, error) {
	path, err := feedback.Path()
	if err != nil || c.Bool("no-feedback") {
		return nil, nil // nobody without a home has said anything
	}
	log, err := feedback.Load(path)
	if err != nil {
		return nil, hintError{err, "mend the file, or leave it out with --no-feedback"}
	}
	return log.Set()
}

func runFeedbackSay(c *cli.Context, says rule.Opinion) error {
	if c.Args().Present() {
		return usage(fmt.Sprintf("%q is too much", c.Args().First()), "ampulla baseline feedback "+string(says)+" --hosts ADDRESS --type TYPE")
	}
	r := rule.Rule{Says: says, Who: c.String("who"), Why: c.String("why")}
	r.Type = verdict.Type(c.String("type"))
	var err error
	if hosts := c.String("hosts"); hosts != "" {
		if r.Hosts, err = rule.ParseHosts(strings.Split(hosts, ",")); err != nil {
			return usageError{fmt.Errorf("--hosts: %w", err), ""}
		}
	}
	if name := c.String("service"); name != "" {
		if r.Service, err = rule.ParseService(name); err != nil {
			return usageError{fmt.Errorf("--service: %w", err), ""}
		}
	}
	if !c.IsSet("who") {
		r.Who = userName()
	}
	if err := r.Check(); err != nil {
		return usageError{err, "a rule needs --hosts, --service or --type"}
	}
	err = updateFeedback(c, func(log *feedback.Log) (err error) {
		r, err = log.Add(r)
		return err
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.App.Writer, ruleLine(&r))
	return err
}

// userName is the name of who runs the program; empty if nobody knows.
func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

// ruleLine says in a line what a rule is.
func ruleLine(r *rule.Rule) string {
	line := fmt.Sprintf("%d\t%s\t%s\t%s\t%s", r.ID, r.Says, r.String(), r.Who, r.When.UTC().Format("2006-01-02"))
	if r.Why != "" {
		line += "\t" + r.Why
	}
	return line
}

func runFeedbackList(c *cli.Context) error {
	if c.Args().Present() {
		return usage("list takes no arguments", "")
	}
	log, err := loadFeedback(c)
	if err != nil {
		return err
	}
	for i := range log.Rules {
		if _, err := fmt.Fprintln(c.App.Writer, ruleLine(&log.Rules[i])); err != nil {
			return err
		}
	}
	return nil
}

// ruleIDs reads the IDs that a command names.
func ruleIDs(c *cli.Context, most int) ([]uint32, error) {
	var ids []uint32
	for _, arg := range c.Args().Slice() {
		id, err := strconv.ParseUint(arg, 10, 32)
		if err != nil {
			return nil, usage(fmt.Sprintf("%q is no number of a rule", arg), "ampulla baseline feedback list has them")
		}
		ids = append(ids, uint32(id))
	}
	if len(ids) == 0 || len(ids) > most {
		return nil, usage("the number of a rule is needed", "ampulla baseline feedback list has them")
	}
	return ids, nil
}

func runFeedbackShow(c *cli.Context) error {
	ids, err := ruleIDs(c, 1)
	if err != nil {
		return err
	}
	log, err := loadFeedback(c)
	if err != nil {
		return err
	}
	r, err := log.Find(ids[0])
	if err != nil {
		return err
	}
	_, err = c.App.Writer.Write(feedback.AppendRule(nil, &r))
	return err
}

func runFeedbackUndo(c *cli.Context) error {
	ids, err := ruleIDs(c, rule.MaxRules)
	if err != nil {
		return err
	}
	undone := []byte("rules:\n")
	err = updateFeedback(c, func(log *feedback.Log) error {
		for _, id := range ids {
			r, err := log.Undo(id)
			if err != nil {
				return err
			}
			undone = feedback.AppendRule(undone, &r)
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, err = c.App.Writer.Write(undone)
	return err
}

func runFeedbackExport(c *cli.Context) error {
	if c.NArg() != 1 {
		return usage("one output is needed", "ampulla baseline feedback export rules.yaml, or - to print them")
	}
	log, err := loadFeedback(c)
	if err != nil {
		return err
	}
	out, err := output.Create(c.Args().First(), c.App.Writer)
	if err != nil {
		return err
	}
	defer out.Discard()
	if _, err := out.Write(log.Append(nil)); err != nil {
		return err
	}
	return out.Commit()
}

func runFeedbackImport(c *cli.Context) error {
	if c.NArg() != 1 {
		return usage("one file is needed", "ampulla baseline feedback import rules.yaml")
	}
	name := c.Args().First()
	if _, err := os.Stat(name); err != nil {
		return err
	}
	theirs, err := feedback.Load(name)
	if err != nil {
		return err
	}
	added := 0
	err = updateFeedback(c, func(log *feedback.Log) error {
		before := len(log.Rules)
		for _, r := range theirs.Rules {
			if _, err := log.Add(r); err != nil {
				return err
			}
		}
		added = len(log.Rules) - before
		return nil
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.App.Writer, "%d rules added, %d were known\n", added, len(theirs.Rules)-added)
	return err
}

// ruleEffect is what a rule changed in a capture.
type ruleEffect struct {
	packets, first uint64
	reason         string // of the first packet
}

func runFeedbackReview(c *cli.Context) error {
	if c.NArg() != 1 {
		return usage("one capture is needed", "ampulla baseline feedback review IN")
	}
	log, err := loadFeedback(c)
	if err != nil {
		return err
	}
	s, err := settings(c)
	if err != nil {
		return err
	}
	scorer, err := openScorer(c)
	if err != nil {
		return err
	}
	defer scorer.Close()
	cfg := s.Engine(workers(s))
	if cfg.Rules, err = log.Set(); err != nil {
		return err
	}
	e, err := engine.New(cfg, scorer)
	if err != nil {
		return err
	}
	name := c.Args().First()
	input, size, err := openInput(name, c.App.Reader)
	if err != nil {
		return err
	}
	defer input.Close()
	effects := map[uint32]*ruleEffect{}
	progress := newProgress(c.App.ErrWriter, size)
	_, err = rewrite.Annotate(c.Context, progress.reader(input), nil, rewrite.Config{Engine: e, OnVerdict: func(v *verdict.Verdict) error {
		if v.Rule == 0 {
			return nil
		}
		if effects[v.Rule] == nil {
			effects[v.Rule] = &ruleEffect{first: v.Frame, reason: v.Reason}
		}
		effects[v.Rule].packets++
		return nil
	}})
	progress.clear()
	return errors.Join(named(name, err), writeEffects(c.App.Writer, log.Rules, effects))
}

// writeEffects says of each rule, the newest first, what it changed.
func writeEffects(w io.Writer, rules []rule.Rule, effects map[uint32]*ruleEffect) error {
	for _, r := range slices.Backward(rules) {
		said := "changes nothing here"
		if e := effects[r.ID]; e != nil {
			said = fmt.Sprintf("%d packets, the first is %d: %s", e.packets, e.first, e.reason)
		}
		if _, err := fmt.Fprintf(w, "%s\n\t%s\n", ruleLine(&r), said); err != nil {
			return err
		}
	}
	return nil
}
