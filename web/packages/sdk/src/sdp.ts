/** The one edit of session descriptions that browsers offer no call for. */

/** The description with stereo Opus wished for in every audio section: browsers send and take mono else (RFC 7587 7). */
export function withStereo(sdp: string): string {
  const payloads = new Set([...sdp.matchAll(/^a=rtpmap:(\d+) opus\/48000\/2\r?$/gim)].map((match) => match[1]));
  return sdp.replace(/^(a=fmtp:(\d+) )([^\r\n]*)/gm, (line, head: string, payload: string, parameters: string) => {
    if (!payloads.has(payload) || /(^|;)stereo=/.test(parameters)) return line;
    return `${head}${parameters};stereo=1;sprop-stereo=1`;
  });
}
