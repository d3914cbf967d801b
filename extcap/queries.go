package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"ampulla/annotator/dumpcap"
	"ampulla/extcap/sentence"
	"ampulla/extcap/toolbar"
)

// interfaceName is our interface's name on Wireshark's command lines and in its
// preferences.
const interfaceName = "ai"

// patience bounds how long Wireshark's interface list waits for dumpcap.
const patience = 2 * time.Second

// answer answers one of Wireshark's questions.
func answer(ctx context.Context, flags arguments, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	switch netif := flags["extcap-interface"]; {
	case flags.has("extcap-interfaces"):
		return listInterfaces(stdout)
	case flags.has("extcap-cleanup-postkill"):
		return nil // dumpcap ends with us, and there is nothing else
	case netif != interfaceName:
		return usageError(fmt.Sprintf("no interface %q; there is %q", netif, interfaceName))
	case flags.has("extcap-dlts"):
		// What is in the file says the types of the real interfaces.
		return sentence.Write(stdout, sentence.DLT{Number: 1, Name: "EN10MB", Display: "Ethernet"})
	case flags.has("extcap-config"):
		return listOptions(ctx, flags["extcap-reload-option"], stdout)
	case flags.has("extcap-capture-filter"):
		return checkFilter(ctx, flags["extcap-capture-filter"], stdout)
	}
	return usageError("nothing to do; Wireshark runs this program, see --help")
}

func listInterfaces(w io.Writer) error {
	sentences := []sentence.Sentence{
		sentence.Extcap{Version: version, Display: "AI capture"},
		sentence.Interface{Value: interfaceName, Display: "AI capture"},
	}
	for _, c := range toolbar.Controls() {
		sentences = append(sentences, c)
	}
	for _, v := range toolbar.Values() {
		sentences = append(sentences, v)
	}
	return sentence.Write(w, sentences...)
}

// listOptions describes the dialog, or only the values of one option.
func listOptions(ctx context.Context, reload string, w io.Writer) error {
	var args, values []sentence.Sentence
	for i, o := range options() {
		o.arg.Number, o.arg.Call = i, "--"+o.name
		args = append(args, o.arg)
		if reload != "" && reload != o.name {
			continue
		}
		if o.name == optionInterface {
			o.values = interfaceValues(ctx)
		}
		for _, v := range o.values {
			v.Arg = i
			values = append(values, v)
		}
	}
	if reload != "" {
		return sentence.Write(w, values...)
	}
	return sentence.Write(w, append(args, values...)...)
}

// interfaceValues are the interfaces that dumpcap knows. Without a dumpcap there
// are none; the capture will say why.
func interfaceValues(ctx context.Context) []sentence.Value {
	program, err := dumpcap.Find()
	if err != nil {
		return nil
	}
	list, err := program.Interfaces(ctx)
	if err != nil {
		return nil
	}
	var values []sentence.Value
	for _, netif := range list {
		display := netif.Name
		if netif.Description != "" {
			display = netif.Description + ": " + netif.Name
		}
		values = append(values, sentence.Value{Value: netif.Name, Display: display})
	}
	return values
}

// checkFilter writes what is wrong with a capture filter, and nothing if it is
// valid. Whoever may not capture learns that when they try.
func checkFilter(ctx context.Context, filter string, w io.Writer) error {
	program, err := dumpcap.Find()
	if err != nil {
		return nil
	}
	if err = program.CheckFilter(ctx, "", filter); errors.Is(err, dumpcap.ErrFilter) {
		_, err = fmt.Fprintln(w, err)
		return err
	}
	return nil
}
