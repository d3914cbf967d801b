package server

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"ampulla/grpc/wire"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// maxOptions bounds the options in a session's first message, in bytes.
const maxOptions = 64 << 10

// receive returns the next request of a stream. It is looked at before memory is
// taken for what it holds: an empty frame is two bytes as a message and fifty
// times that when decoded.
func receive[T any, M interface {
	*T
	proto.Message
}](stream grpc.ServerStream) (M, error) {
	var data wire.Raw
	if err := stream.RecvMsg(&data); err != nil {
		return nil, err
	}
	defer data.Free()
	request := M(new(T))
	if err := checkRequest(data.ReadOnlyData(), request); err != nil {
		return nil, err
	}
	if err := proto.Unmarshal(data.ReadOnlyData(), request); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return request, nil
}

// checkRequest counts what a request holds. A field that is there several times
// counts as a whole, since its parts are merged.
func checkRequest(message []byte, request proto.Message) error {
	_, session := request.(*annotatorv1.SessionRequest)
	options, frames := 0, 0
	err := fields(message, func(field protowire.Number, value []byte) error {
		if field == 1 {
			options += len(value)
		} else if session {
			return fields(value, func(protowire.Number, []byte) error { frames++; return nil })
		}
		return nil
	})
	switch {
	case err != nil:
		return status.Error(codes.InvalidArgument, err.Error())
	case options > maxOptions:
		return status.Errorf(codes.InvalidArgument, "options of %d bytes, more than %d", options, maxOptions)
	case frames > 0:
		return checkBatch(frames)
	}
	return nil
}

// fields calls visit with each field of a message that holds bytes.
func fields(message []byte, visit func(protowire.Number, []byte) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		size := protowire.ConsumeFieldValue(number, kind, message)
		if size < 0 {
			return protowire.ParseError(size)
		}
		if kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(message)
			if err := visit(number, value); err != nil {
				return err
			}
		}
		message = message[size:]
	}
	return nil
}
