"""What happens to pictures on their way: size and rate, watermark, background, stand-in, snapshots, enlargement."""
