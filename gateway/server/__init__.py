"""The server: what lies between the kernel and the pipeline.

`listener` accepts connections, `tls` holds the certificates, `connection` guards one connection's bytes,
`adapter` turns aiohttp's requests into ours and answers into bytes.
"""
