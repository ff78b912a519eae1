"""TGANv2: a ConvLSTM generates features of frames, which are rendered at several levels, sparser where finer."""
